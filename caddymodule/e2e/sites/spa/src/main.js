import "./style.css";

const pages = import.meta.glob("./pages/*.js");

async function show() {
  const [, name, id] = location.pathname.split("/");
  const load = pages[`./pages/${name || "home"}.js`] ?? pages["./pages/missing.js"];
  const { default: render } = await load();
  document.getElementById("app").replaceChildren(render(id));
}

addEventListener("popstate", show);
document.addEventListener("click", (event) => {
  const link = event.target.closest("a");
  if (!link) return;
  event.preventDefault();
  history.pushState(null, "", link.href);
  show();
});
show();
