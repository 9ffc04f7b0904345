// Lists of posts without a page load: the same form, the same links, the same URL. Without this script all of it
// works the same, only slower.
(() => {
  const results = document.getElementById("results");
  const form = document.querySelector("form[data-drill]");
  if (!results || !form || !window.fetch) return;
  let last = null;

  async function show(url, push) {
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
      if (push) history.pushState(null, "", url);
    } catch (error) {
      if (error.name !== "AbortError") location.assign(url);
    }
  }

  function address() {
    const given = [...new FormData(form)].filter(([, value]) => value.trim());
    return `${form.getAttribute("action")}${given.length ? "?" : ""}${new URLSearchParams(given)}`;
  }

  let timer;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    clearTimeout(timer);
    show(address(), true);
  });
  form.addEventListener("change", () => form.reportValidity() && show(address(), true));
  form.addEventListener("input", (event) => {
    if (event.target.type !== "search") return;
    clearTimeout(timer);
    timer = setTimeout(() => show(address(), true), 300);
  });
  results.addEventListener("click", (event) => {
    const link = event.target.closest(".pages a");
    if (!link || event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    show(link.href, true).then(() => document.getElementById("posts")?.scrollIntoView());
  });
  addEventListener("popstate", () => {
    const given = new URLSearchParams(location.search);
    for (const field of form.elements) if (field.name) field.value = given.get(field.name) ?? "";
    show(location.href, false);
  });
})();
