import { useEffect, useState } from "react";
import { createRoot } from "react-dom/client";
import { sdk } from "sdk";

function App() {
  const [clicks, setClicks] = useState(0);
  useEffect(() => {
    sdk().then((clevertap) => {
      clevertap.event.push("Opened", { by: "React" });
      clevertap.handleIncrementValue("Score", 1);
    });
  }, []);
  const click = () => {
    setClicks(clicks + 1);
    sdk().then((clevertap) => clevertap.event.push("Clicked", { clicks }));
  };
  return <button id="click" type="button" onClick={click}>Clicked {clicks}</button>;
}

createRoot(document.getElementById("app")).render(<App />);
