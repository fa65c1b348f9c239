// The SDK by a script tag: loaded resolves when its load event has come.
const script = document.querySelector("script[data-sdk]") ?? document.createElement("script");
const loaded = new Promise((resolve, reject) => {
  if (window.scriptLoaded) return resolve();
  script.addEventListener("load", resolve);
  script.addEventListener("error", () => reject(new Error("the script did not load")));
});
if (!script.isConnected) {
  script.setAttribute("src", "https://d2r1yp2w7bby2u.cloudfront.net/js/clevertap.min.js");
  document.head.append(script);
}
window.clevertap ??= { event: [], profile: [], account: [], onUserLogin: [], notifications: [], privacy: [] };

let begun;
export const sdk = () =>
  (begun ??= loaded.then(() => {
    clevertap.init("APP");
    clevertap.profile.push({ Site: { Score: 1 } });
    return { event: { push: (...args) => clevertap.event.push(...args) }, handleIncrementValue: (...args) => clevertap.handleIncrementValue(...args) };
  }));
