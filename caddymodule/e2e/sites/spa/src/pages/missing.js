export default function render() {
  const heading = document.createElement("h1");
  heading.textContent = "Nothing here";
  return heading;
}
