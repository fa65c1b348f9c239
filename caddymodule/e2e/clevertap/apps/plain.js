import { sdk } from "sdk";

let clicks = 0;
const button = document.createElement("button");
button.id = "click";
button.textContent = "Clicked 0";
button.onclick = async () => {
  button.textContent = "Clicked " + ++clicks;
  (await sdk()).event.push("Clicked", { clicks });
};
document.getElementById("app").append(button);
sdk().then((clevertap) => {
  clevertap.event.push("Opened", { by: "plain" });
  clevertap.handleIncrementValue("Score", 1);
});
