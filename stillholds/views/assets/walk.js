// Walk to one of our own addresses inside the session: one entry in the history, and Streamlit draws what the address names,
// as it does when Back is pressed. (Switching pages from Python leaves two entries, of which the first names a page that never was.)
export function walk(href) {
  if (location.pathname + location.search === href) return;
  history.pushState(null, "", href);
  window.dispatchEvent(new PopStateEvent("popstate"));
  window.scrollTo(0, 0);
}
