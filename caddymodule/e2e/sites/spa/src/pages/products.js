export default function render(id) {
  const heading = document.createElement("h1");
  heading.textContent = `Product ${id}`;
  return heading;
}
