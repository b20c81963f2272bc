// What past incidents say of the title that is being typed. The form works without it.
import { $, $$ } from "./dom.js";

const pause = 400; // ms without a key before it is asked

export function startPast() {
  const form = $(".page-declare form.form");
  if (!form || !$("#draft-past")) return;
  let timer = 0;
  let asked = "";
  let turn = 0;
  const ask = async () => {
    const url = new URL($("#draft-past").dataset.past, location.href);
    url.searchParams.set("title", $("#d-title").value.trim());
    for (const box of $$("input[name=chains]:checked, input[name=components]:checked", form)) url.searchParams.append(box.name, box.value);
    if (url.search === asked) return;
    asked = url.search;
    const mine = ++turn;
    try {
      const answer = await fetch(url, { credentials: "same-origin", headers: { Accept: "text/html" } });
      if (!answer.ok || mine !== turn) return;
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("draft-past");
      if (fresh) $("#draft-past").replaceWith(fresh);
    } catch { /* nothing is shown: declaring does not wait for it */ }
  };
  form.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(ask, pause); });
  if ($("#d-title").value) ask();
}
