// A picture larger than its frame opens at the address that it is around.
import { $$ } from "./dom.js";

export function startWallets() {
  for (const box of $$(".wallets .middle")) {
    const frame = box.closest(".scroll-x");
    if (!frame) continue;
    const here = box.getBoundingClientRect();
    const there = frame.getBoundingClientRect();
    frame.scrollLeft += here.left + here.width / 2 - there.left - there.width / 2;
    frame.scrollTop += here.top + here.height / 2 - there.top - there.height / 2;
    return;
  }
}
