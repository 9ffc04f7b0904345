"""Collecting: posts from the sources into the private raw store.

`plan` reads what to ask, `runner` asks it window by window through `client`, the collectors in `sources/`
turn answers into records at the `border`, and `store` keeps them. `imports/` does the same for dumps and
exports.

How a source is added: one file, two entries, nothing else.

1. `sources/NAME.py` with `SOURCE = …`, one instance of a subclass of `source.Source`:
   - `settings`, a subclass of `plan.SourcePlan`: the shape of its entry in `data/collect.yml`, with a
     `base_url` for each host it asks. No address stands in code, so that tests and mirrors need only
     another plan.
   - pydantic models of the raw items (`border.Item`: unknown fields ignored; `IsoTime`, `EpochTime`, `Id`,
     `Count`), and pure functions from a model to a `record.Record`, to `record.Gone` for what is deleted or
     removed there, or to None for what is of no use (bots, empty posts). `border.cross` applies them and
     sets broken items aside. Markup becomes text with `flywheel.clean.html_text` or `markdown_text`.
     Secrets and names are the store's business: a record may hold the plain author.
   - `queries`: what the plan asks, each with a key for good. `pages`: the pages of one half-open window,
     each with the cursor of the next and the last one with a verdict: `complete` only if everything was
     read, `split` to have the window halved, `incomplete` or `capped` else. Never call something complete
     because it came back empty.
   - `owns` and `look_up`: reading known posts again, by id or by url; what is missing goes into
     `Page.gone`. The re-check and `flywheel hydrate` live on it.
   - Requests go through the `client` it is given (`get`, `post`), which waits, tries again and raises what
     the runner understands. A library that brings its own HTTP calls `client.before_request(host, lane)`
     before each request and `client.wait_told(lane, seconds, why)` when it was told to wait, and raises the
     errors of `client`.
   - `missing`: why it cannot be asked (`no_credentials: …`), `left_out`: which part of the plan cannot;
     `headers`: where credentials go, never into a url.
2. An entry in `data/sources.yml`: its terms and text policy; `Record.source` is its slug.
3. An entry in `data/collect.yml`: what is asked, with frame, corpus and reason.

An import is a reader of files that yields `record.Page`s (of a few hundred items) and hands them to
`Store.write_page(page, Found(query="import:…"), day, source="import:NAME")`, with the same models and
converters where the dump has the shape of the API. `Record.source` and `native_id` must be those the live
collector uses, so that a post has one row: `github` issue:ID / comment:ID / discussion:NODE, `hackernews`
ID, `stackoverflow` HOST:ID, `discourse` and `hf_forum` HOST:POST_ID, `reddit` the fullname (t3_…, t1_…),
`hf_hub` TYPE:REPO#NUM for a discussion.
"""
