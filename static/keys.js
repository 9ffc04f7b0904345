// Keys for those who like them: / goes to the search box, j and k go through the posts. They can be turned off, as
// single keys get in the way of speech input. And buttons that copy, which without script are not there.
(() => {
  const OFF = "keys-off";
  const stored = () => { try { return localStorage.getItem(OFF) === "1"; } catch { return false; } };
  let off = stored();

  function posts() {
    return [...document.querySelectorAll(".posts > li")].map((post) => post.querySelector("a"));
  }

  function step(by) {
    const links = posts();
    const at = links.findIndex((link) => link.closest("li").contains(document.activeElement));
    const next = links[at < 0 ? 0 : at + by];
    next?.focus();
    next?.scrollIntoView({ block: "nearest" });
    return Boolean(next);
  }

  function search() {
    const box = document.querySelector('form[data-drill] input[type="search"], .site-search input');
    box?.focus();
    box?.select();
    return Boolean(box);
  }

  const KEYS = { "/": search, j: () => step(1), k: () => step(-1) };

  addEventListener("keydown", (event) => {
    const writing = event.target.closest?.("input, select, textarea, [contenteditable]");
    if (off || writing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (KEYS[event.key]?.()) event.preventDefault();
  });

  // A path becomes a whole address; any other text stays.
  function copied({ dataset: { copy } }) {
    return copy.startsWith("/") ? new URL(copy, location.href).href : copy;
  }

  function dress() {
    for (const button of document.querySelectorAll("button[data-copy][hidden]")) {
      button.hidden = false;
      button.addEventListener("click", async () => {
        const words = button.textContent;
        try {
          await navigator.clipboard.writeText(copied(button));
          button.textContent = "Copied";
        } catch {
          button.textContent = "Could not copy";
        }
        setTimeout(() => (button.textContent = words), 2000);
      });
    }
    const list = document.querySelector(".posts");
    if (!list || document.querySelector(".keys")) return;
    const note = document.createElement("p");
    note.className = "keys muted";
    const button = document.createElement("button");
    button.type = "button";
    button.className = "quiet";
    const say = () => {
      note.firstChild.textContent = off ? "Single keys are off. " : "Keys: / to search, j and k through the posts. ";
      button.textContent = off ? "Turn them on" : "Turn them off";
    };
    note.append("", button);
    button.addEventListener("click", () => {
      off = !off;
      try { localStorage.setItem(OFF, off ? "1" : "0"); } catch { /* for this page only, then */ }
      say();
    });
    say();
    list.after(note);
  }

  addEventListener("results", dress);
  dress();
})();
