// Our own links (a.sh-a) walk inside the session instead of reloading; "/" searches, "?" explains.
import { walk } from "./walk.js";

const live = new WeakMap();

function focusSoon(left = 60) { // the field is there once the page is drawn
  const field = document.querySelector("[data-testid=stTextInput] input");
  if (field) field.focus();
  else if (left) setTimeout(focusSoon, 50, left - 1);
}

export default function ({ parentElement, setTriggerValue }) {
  live.get(parentElement)?.();
  const click = (event) => {
    if (event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return; // new tab, new window: the browser's own
    const to = event.target.closest?.("a.sh-a")?.getAttribute("href");
    if (!to || !to.startsWith("/") || to.startsWith("//")) return;
    event.preventDefault();
    walk(to);
  };
  const key = (event) => {
    if (event.metaKey || event.ctrlKey || event.altKey) return;
    if (event.target.closest?.("input, textarea, select, [contenteditable=true], [role=dialog]")) return;
    if (event.key !== "/" && event.key !== "?") return;
    event.preventDefault();
    if (event.key === "?") return setTriggerValue("key", "?");
    walk("/search");
    focusSoon();
  };
  document.addEventListener("click", click, true);
  document.addEventListener("keydown", key);
  const off = () => {
    document.removeEventListener("click", click, true);
    document.removeEventListener("keydown", key);
  };
  live.set(parentElement, off);
  document.documentElement.dataset.shKeys = "on"; // from here on links walk and keys answer
  return off;
}
