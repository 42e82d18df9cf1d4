// Our own links (a.sh-a) walk inside the session instead of reloading; "/" searches, "?" explains.
const live = new WeakMap();
function focusSoon(left = 40) { // a dialog does not focus its first field by itself
  const field = document.querySelector("[role=dialog] input");
  if (field) field.focus(); else if (left) setTimeout(focusSoon, 50, left - 1);
}
export default function ({ parentElement, setTriggerValue }) {
  live.get(parentElement)?.();
  const click = (e) => {
    if (e.button || e.metaKey || e.ctrlKey || e.shiftKey || e.altKey) return; // new tab, new window: the browser's own
    const a = e.target.closest?.("a.sh-a");
    const to = a?.getAttribute("href");
    if (!to || !to.startsWith("/") || to.startsWith("//")) return;
    e.preventDefault();
    setTriggerValue("go", to);
  };
  const key = (e) => {
    if (e.metaKey || e.ctrlKey || e.altKey || e.target.closest?.("input,textarea,select,[contenteditable=true],[role=dialog]")) return;
    if (e.key === "/" || e.key === "?") { e.preventDefault(); setTriggerValue("key", e.key); focusSoon(); }
  };
  document.addEventListener("click", click, true);
  document.addEventListener("keydown", key);
  const off = () => { document.removeEventListener("click", click, true); document.removeEventListener("keydown", key); };
  live.set(parentElement, off);
  return off;
}
