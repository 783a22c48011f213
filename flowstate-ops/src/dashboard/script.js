// Fetches the page again and puts its main part in place, unless somebody types, selects, presses, stands
// on something with the keys, or has opened or filled in something. Tables stay scrolled as they were.
"use strict";
(() => {
  const EVERY = 5000;
  // a link that is replaced between the press and the release of a button is not followed
  let pressed = false;
  addEventListener("pointerdown", () => (pressed = true));
  for (const end of ["pointerup", "pointercancel"]) addEventListener(end, () => (pressed = false));
  const all = (css) => [...document.querySelectorAll(css)];
  const busy = () =>
    document.hidden ||
    pressed ||
    document.querySelector("main form[method=post]") ||
    document.querySelector("main details[open]") ||
    !document.getSelection().isCollapsed ||
    all("main input").some((one) => one.value !== one.defaultValue || one.checked !== one.defaultChecked) ||
    document.querySelector("main :is(a, button, input, select, :focus-visible):focus");
  const refresh = async () => {
    if (busy()) return;
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    if (!answer.ok || busy()) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const [fresh, shown] = [page.querySelector("main"), document.querySelector("main")];
    if (!fresh || !shown || busy()) return;
    const places = all("main .scroll").map((one) => one.scrollLeft);
    shown.replaceChildren(...fresh.childNodes);
    all("main .scroll").forEach((one, at) => (one.scrollLeft = places[at] ?? 0));
  };
  setInterval(() => refresh().catch(() => {}), EVERY);
})();
