import { createApp, h, ref } from "vue";
import { sdk } from "sdk";

createApp({
  setup() {
    const clicks = ref(0);
    sdk().then((clevertap) => {
      clevertap.event.push("Opened", { by: "Vue" });
      clevertap.handleIncrementValue("Score", 1);
    });
    const click = () => {
      clicks.value++;
      sdk().then((clevertap) => clevertap.event.push("Clicked", { clicks: clicks.value }));
    };
    return () => h("button", { id: "click", type: "button", onClick: click }, "Clicked " + clicks.value);
  },
}).mount("#app");
