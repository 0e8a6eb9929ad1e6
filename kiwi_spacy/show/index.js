(() => {
  const links = [...document.querySelectorAll("a[target=note]")];
  if (!links.length) return;
  let at = 0;
  const mark = (i) => {
    links[at].removeAttribute("aria-current");
    at = i;
    links[at].setAttribute("aria-current", "true");
    document.getElementById("before").disabled = at === 0;
    document.getElementById("after").disabled = at === links.length - 1;
  };
  const go = (by) => {
    const next = at + by;
    if (next < 0 || next >= links.length) return;
    links[next].click();
    links[next].scrollIntoView({ block: "nearest" });
  };
  links.forEach((link, i) => link.addEventListener("click", () => mark(i)));
  document.getElementById("before").addEventListener("click", () => go(-1));
  document.getElementById("after").addEventListener("click", () => go(1));
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "j") go(1);
    if (event.key === "k") go(-1);
  });
  document.getElementById("steps").hidden = false;
  mark(0);
})();
