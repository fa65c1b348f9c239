// wait.js: what the prompt waits for when its time has come. Few pages need it, so it is
// not in the SDK.

export { bannerShown, inTheWay, triggered } from "./triggers";
