// A React application with react-onesignal from npm, as its guide has it.
import { createElement, useEffect, useState } from "react";
import { createRoot } from "react-dom/client";
import OneSignal from "react-onesignal";

window.heard = [];

function App() {
  const [ready, setReady] = useState(false);
  useEffect(() => {
    OneSignal.init({ appId: "00000000-0000-0000-0000-000000000000", allowLocalhostAsSecureOrigin: true, promptOptions: { slidedown: { prompts: [{ type: "push", autoPrompt: false, delay: {} }] } } })
      .then(() => OneSignal.login("react-1"))
      .then(() => {
        OneSignal.User.addTags({ plan: "gold" });
        OneSignal.User.PushSubscription.addEventListener("change", ({ current }) => window.heard.push("optedIn " + current.optedIn));
        OneSignal.Notifications.addEventListener("permissionChange", (is) => window.heard.push("permission " + is));
        setReady(true);
      })
      .catch((error) => window.heard.push("failed: " + error));
  }, []);
  return createElement(
    "main",
    null,
    createElement("h1", null, ready ? "Ready" : "Starting"),
    createElement("button", { id: "ask", onClick: () => OneSignal.Notifications.requestPermission() }, "Notify me"),
    createElement("button", { id: "out", onClick: () => OneSignal.User.PushSubscription.optOut() }, "No more"),
  );
}

window.optedIn = () => OneSignal.User.PushSubscription.optedIn;
createRoot(document.getElementById("root")).render(createElement(App));
