// POST {prefix}/messages (Go: service.MessagesRequest, service.MessagesAnswer).

import type { PopupRule } from "./onsite";
import type { WirePopup } from "./popup";

/** A page's request for pop-ups. */
export interface MessagesRequest {
  /** 16 random bytes in base64url; the browser's session. */
  session: string;
  /** As in a batch of entries. */
  seed: string;
  page: {
    path: string;
    /** location.search */
    query?: string;
    referrer?: string;
    /** Of the visit; missing members are taken from query. */
    utm?: { source?: string; medium?: string; campaign?: string };
  };
  device: "desktop" | "phone" | "tablet";
  language: string;
  timeZone: string;
  visits: number;
  views: number;
  /** The rules in config.popups that could apply; empty or missing: all. */
  candidates?: string[];
  /** How often each was seen in this session. */
  shown?: Record<string, number>;
  /** The value of webpush_preview in the page's address. */
  preview?: string;
}

/** A pop-up that this visitor, who is in its control group, does not see. Wait for it as
 * for the others, then report act "viewed" with its variant and token, and show nothing. */
export interface WireControl {
  id: string;
  variant: "control";
  token: string;
  priority?: number;
  when?: PopupRule["when"];
  caps?: { session?: number };
}

export interface MessagesAnswer {
  /** At most ten, the most important first. */
  popups: WirePopup[];
  controls?: WireControl[];
  /** An operator's preview: show it at once, whatever was shown before, and report nothing. */
  preview?: boolean;
}
