// Fetches the page again and puts its main part in place, unless somebody types or has opened something.
"use strict";
(() => {
  const EVERY = 5000;
  const busy = () =>
    document.hidden ||
    document.querySelector("main form[method=post]") ||
    document.querySelector("main details[open]") ||
    (document.activeElement && document.activeElement.matches("main input, main select, main a, main button"));
  const refresh = async () => {
    if (busy()) return;
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    if (!answer.ok || busy()) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const [fresh, shown] = [page.querySelector("main"), document.querySelector("main")];
    if (fresh && shown) shown.replaceChildren(...fresh.childNodes);
  };
  setInterval(() => refresh().catch(() => {}), EVERY);
})();
