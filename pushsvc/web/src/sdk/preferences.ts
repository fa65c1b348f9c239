import type { Face, UI } from "../shared/face";
import type { Config } from "../shared/wire";
import type { WebPush } from "./api";
import { faceOptions } from "./face";
import { load } from "./lazy";

/** Defines `<webpush-preferences>`, the visitor's own settings, wherever and whenever the
 * site uses it. An element of that name that the site defined stays. */
export function definePreferences(config: Config, sdk: Pick<WebPush, "on" | "prompt" | "setTopics" | "state" | "subscribe" | "unsubscribe">): void {
  if (!window.customElements || customElements.get("webpush-preferences")) return;
  class Preferences extends HTMLElement {
    /** Its height is not known yet. */
    busy = true;
    private face: Face | undefined;
    private off: (() => void)[] = [];
    /** It is making a choice itself, which it shows already. */
    private choosing = false;

    connectedCallback(): void {
      this.off = (["subscribed", "unsubscribed", "topics"] as const).map((event) =>
        sdk.on(event, () => {
          if (!this.choosing) void this.fill();
        }),
      );
      this.fill();
    }

    disconnectedCallback(): void {
      this.off.forEach((off) => off());
      this.clear();
    }

    private clear(): void {
      this.face?.close();
      this.face = undefined;
    }

    private async fill(): Promise<void> {
      const [{ show }, state] = await Promise.all([load<UI>(config, "ui"), sdk.state()]);
      this.clear();
      this.busy = false;
      if (!this.isConnected || !state.supported) return;
      const options = faceOptions(config, "preferences", {}, (answer, topics) => {
        if (answer !== "accept") return void sdk.unsubscribe();
        this.choosing = true;
        // setTopics has reported the error.
        if (topics) sdk.setTopics(topics).catch(() => {});
        this.choosing = false;
        if (state.subscribed) return;
        sdk.subscribe().then((outcome) => {
          if (outcome === "denied") void sdk.prompt({ help: true });
          if (outcome !== "subscribed") void this.fill();
        });
      });
      this.face = show({ ...options, host: this, subscribed: state.subscribed });
    }
  }
  customElements.define("webpush-preferences", Preferences);
}
