"""Importing: public archives and exports become posts of the private raw store, `flywheel import FILE --source NAME`.

`read` turns a file into rows (one JSON value each, with its place), `shapes` knows what the rows of each source
look like and takes them over the border, `run` writes them in batches. A file is read as a stream: memory does
not grow with it. Reading one again writes nothing, so an import that was cut short is simply started again.

How a format is added: a function `(row, crossing) -> None` that puts records, deletions and broken items into
the crossing, and an entry `Shape(fields, function)` in the `SHAPES` of its source's file. A row is taken by the
first shape of the source all of whose fields it has.

    --source        what is read
    reddit          API answers (listings, `comments/ID.json` trees), one object a line or a whole document;
                    Pushshift-like NDJSON of posts and comments; flattened posts and comments
    discord         DiscordChatExporter JSON; threads as text blocks, one a line: {"file", "text"}
    hf_hub          discussions with their comments, one a line; single API answers (discussions/NUM)
    github          issues, pull requests and comments as the REST API shows them, in full or flattened
    hackernews      Algolia hits, Firebase items, flattened stories
    stackoverflow   questions of the API, with what is nested in them
    jsonl           the lines described below, of any source: each line's url (or `source`) says which
    any of these    also takes the lines described below, as long as their url is one of that source

The documented line, for anything else, is a JSON object with

    url (also html_url)      the post's public address; required
    title, body              one of the two is required; body is also called content, text or selftext
    created                  ISO day or time, month (2024-05), or UTC seconds or milliseconds; also called date,
                             created_at, created_utc, published, time or month
    id                       the post's number at its source, where the url does not hold it
    source                   slug of data/sources.yml; else told by the url's host
    kind                     issue, pull_request, discussion, question, post or comment; else told by the url
    community                else told by the url
    edited, score, author    a name is kept only as a keyed hash
    n_replies, thread, state, license, attribution
    markup                   markdown (the default) or html

`null` and absent are the same; other fields are ignored. A body or title that is nothing but `[deleted]` or
`[removed]` erases the post and tombstones it; an author of `[deleted]` beside a text that is still there drops
the author alone. That a post is absent from a later archive says nothing.
"""
