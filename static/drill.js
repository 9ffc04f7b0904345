// A form and its results without a page load: the same form, the same links, the same URL. Without this script all of
// it works the same, only slower.
(() => {
  const results = document.getElementById("results");
  const form = document.querySelector("form[data-drill]");
  const said = document.getElementById("said");
  if (!results || !form || !window.fetch) return;
  const here = () => location.pathname + location.search;
  let last = null;
  let shown = here();

  // anew: the form too is that of the address, not of what is being typed; and a reader whose link is no longer there
  // goes on from the count.
  async function show(url, { keep = "pushState", anew = false } = {}) {
    last?.abort();
    last = new AbortController();
    results.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(url, { signal: last.signal });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const found = page.getElementById("results");
      if (!answer.ok || !found) throw new Error(answer.statusText);
      results.replaceChildren(...found.childNodes);
      results.removeAttribute("aria-busy");
      if (anew) form.replaceChildren(...page.querySelector("form[data-drill]").childNodes);
      if (keep) history[keep](null, "", url);
      shown = here();
      document.title = page.title;
      const count = results.querySelector(".count");
      if (anew) count?.focus({ preventScroll: true });
      else if (said) said.textContent = count.querySelector("strong").textContent;
      dispatchEvent(new Event("results"));
    } catch (error) {
      if (error.name !== "AbortError") location.assign(url);
    }
  }

  // The filters that are set stand as hidden fields in the results and belong to the form.
  function address() {
    const given = [...new FormData(form)].filter(([, value]) => value.trim());
    return `${form.getAttribute("action").split("#")[0]}${given.length ? "?" : ""}${new URLSearchParams(given)}`;
  }

  let timer;
  let typed = "";
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    clearTimeout(timer);
    show(address());
  });
  form.addEventListener("input", () => {
    clearTimeout(timer);
    // One step back for all that is typed in one go.
    timer = setTimeout(() => {
      if (!form.checkValidity()) return;
      const to = address();
      show(to, { keep: typed === here() ? "replaceState" : "pushState" });
      typed = to;
    }, 300);
  });
  results.addEventListener("click", (event) => {
    const link = event.target.closest("a");
    if (!link || event.metaKey || event.ctrlKey || event.shiftKey) return;
    const to = new URL(link.href);
    if (to.pathname !== location.pathname || link.getAttribute("href").startsWith("#")) return;
    event.preventDefault();
    show(to.href, { anew: true }).then(() => document.getElementById("posts")?.scrollIntoView());
  });
  addEventListener("popstate", () => {
    if (here() === shown) return; // only another part of the same page
    show(location.href, { keep: "", anew: true });
  });
})();
