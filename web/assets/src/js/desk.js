// What pages do more inside the program with a window: links lead to the user's own browser, the menu reaches the page, the front says how it is.
const $ = (selector, root = document) => root.querySelector(selector);

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const post = (path, body) => fetch(path, { method: "POST", credentials: "same-origin", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });

// say shows a sentence in the corner, as the room's own pages do.
function say(text) {
  const place = $("#toasts");
  if (!place || !text) return;
  const close = make("button", { type: "button", class: "act" }, "Close");
  const box = make("div", { class: "toast", role: "status" }, make("p", {}, text), close);
  close.addEventListener("click", () => box.remove());
  place.append(box);
}

// Links to elsewhere never open in this window.
document.addEventListener("click", (event) => {
  const a = event.target.closest?.("a[href]");
  if (!a || event.defaultPrevented || !/^https?:$/.test(a.protocol)) return;
  if (a.origin !== location.origin) {
    event.preventDefault();
    post("/.desk/open", { url: a.href }).then((answer) => { if (!answer.ok) say("This link could not be opened in your browser."); }, () => say("This link could not be opened in your browser."));
  } else if (a.target && a.target !== "_self") {
    event.preventDefault();
    location.assign(a.href);
  }
}, true);

const press = (id) => { void post("/.desk/do", { id }); };

// The window takes these keys when it has a menu; on a wall without one the page does.
document.addEventListener("keydown", (event) => {
  if (!(event.ctrlKey || event.metaKey) || event.altKey || event.isComposing) {
    if (event.key === "F11") { event.preventDefault(); press("fullscreen"); }
    const way = event.altKey && !event.ctrlKey && !event.metaKey && !/Mac/.test(navigator.platform) && { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (way) { event.preventDefault(); history.go(way); }
    return;
  }
  const act = event.shiftKey && event.key.toLowerCase() === "k" ? "kiosk"
    : { "=": "zoom.in", "+": "zoom.in", "-": "zoom.out", _: "zoom.out", 0: "zoom.reset" }[event.key];
  if (!act) return;
  event.preventDefault();
  event.stopPropagation();
  press(act);
}, true);

const key = (name) => document.body.dispatchEvent(new KeyboardEvent("keydown", { key: name, bubbles: true }));

// The menu.
document.addEventListener("tocsin:desk", (event) => {
  const { do: act, text } = event.detail ?? {};
  switch (act) {
    case "compose":
      if ($("#composer")?.offsetParent) document.dispatchEvent(new CustomEvent("tocsin:compose", { detail: text }));
      else say("This goes into the room of an incident. Open one first.");
      break;
    case "palette":
      if ($("[data-palette]")) $("[data-palette]").click();
      else say("Open the board first; it is there.");
      break;
    case "keys": if ($("[data-palette]")) key("?"); else say("The keys work on the pages of the room."); break;
    case "zone": $("[data-now]")?.click(); break;
    case "back": history.back(); break;
    case "forward": history.forward(); break;
    case "reload": location.reload(); break;
  }
});

// Copying on the front's own pages; those of the room do it themselves.
if ($('meta[name="desk"][content="own"]')) {
  document.addEventListener("click", async (event) => {
    const button = event.target.closest?.("[data-copy]");
    if (!button) return;
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.classList.add("copied");
      setTimeout(() => button.classList.remove("copied"), 2000);
    } catch {
      const range = document.createRange();
      range.selectNodeContents(button.parentElement.querySelector("code") ?? button);
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      say("It is marked. Copy it with Ctrl C.");
    }
  });
  // Looking for a server takes seconds when it does not answer.
  document.addEventListener("submit", (event) => {
    const button = event.submitter;
    if (event.defaultPrevented || !/\/(join|here|room|again)$/.test(event.target.action) || !button) return;
    button.dataset.words = button.textContent;
    button.textContent = "Looking for it …";
    button.setAttribute("aria-busy", "true");
    event.target.inert = true;
  });
  addEventListener("pageshow", () => { // also when it comes back by "Back"
    for (const button of document.querySelectorAll("[data-words]")) {
      button.textContent = button.dataset.words;
      button.removeAttribute("aria-busy");
      button.removeAttribute("data-words");
      button.form.inert = false;
    }
  });
  // The sounds play without leaving the page.
  $(".desk-sounds")?.addEventListener("submit", (event) => {
    event.preventDefault();
    void fetch("/.desk/sound", { method: "POST", credentials: "same-origin", body: new URLSearchParams({ sound: event.submitter?.value ?? "" }) });
  });
}

// How the front is: beside LIVE.
function draw(state) {
  document.documentElement.toggleAttribute("data-alone", state.mode === "here" && !state.others);
  const corner = $(".corner");
  if (!corner) return;
  let mark = $("#desk-state");
  if (!mark) {
    mark = make("a", { id: "desk-state", class: "desk-state", href: "/.desk/notes" });
    corner.prepend(mark);
  }
  const words = [];
  if (state.waiting) words.push(`${state.waiting} queued`);
  if (state.refused) words.push(`${state.refused} refused`);
  if (state.open && !state.up && state.trouble && (!words.length && !$("#live"))) words.push("not reachable"); // a live page says STALE itself
  if (!words.length && state.quiet) words.push("quiet");
  mark.hidden = words.length === 0;
  mark.dataset.state = state.refused ? "refused" : state.waiting ? "queued" : state.quiet && state.up ? "quiet" : "away";
  mark.href = state.waiting || state.refused ? "/.desk/notes" : state.up ? "/.desk/settings" : "/.desk/way";
  const text = words.join(", ");
  if (mark.textContent !== text) mark.textContent = text;
  mark.title = [state.waiting || state.refused ? "Notes that are not in the room yet." : "", state.trouble ?? ""].join(" ").trim();
  document.dispatchEvent(new CustomEvent("tocsin:desk-state", { detail: state }));
  if (state.say) say(state.say);
}

let following;
function follow() {
  following = new EventSource("/.desk/state/follow");
  following.addEventListener("message", (event) => draw(JSON.parse(event.data)));
}
follow();
addEventListener("pagehide", () => following.close());
addEventListener("pageshow", (event) => { if (event.persisted) follow(); }); // "Back" shows the page as it was left
