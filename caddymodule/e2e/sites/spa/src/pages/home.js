export default function render() {
  const heading = document.createElement("h1");
  heading.textContent = "Shop";
  return heading;
}
