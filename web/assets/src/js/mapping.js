// The mapping of a source is tried on the sample while somebody types; without this the button tries it.
import { $, meta } from "./dom.js";

const pause = 300; // ms after the last key

export function startMapping() {
  const form = $("form[data-mapping]");
  if (!form) return;
  let timer, asked;
  const ask = async () => {
    asked?.abort();
    asked = new AbortController();
    try {
      const answer = await fetch(form.dataset.mapping, {
        method: "POST", credentials: "same-origin", redirect: "error", signal: asked.signal,
        headers: { "X-Tocsin-CSRF": meta("csrf"), "X-Tocsin-Part": "mapping-result", Accept: "text/html" },
        body: new URLSearchParams(new FormData(form)),
      });
      if (!answer.ok) return;
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("mapping-result");
      const place = $("#mapping-result");
      if (!fresh || !place) return;
      place.dataset.result = fresh.dataset.result ?? "";
      place.replaceChildren(...[...fresh.childNodes].map((n) => document.adoptNode(n)));
    } catch { /* the next key asks again */ }
  };
  form.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(ask, pause); });
}
