// Our object has to fit the types that OneSignal publishes: those of v16, and those
// of v15. Checked by the compiler alone; nothing of it runs.
import type { IOneSignalOneSignal } from "react-onesignal";
import type older15 from "react-onesignal-v15";
import type { OneSignal } from "../../../../pushsvc/web/src/onesignal/onesignal";
import type { older } from "../../../../pushsvc/web/src/onesignal/older";

/** The named members: v15's type has an index signature for all others. */
type Named<T> = { [Name in keyof T as string extends Name ? never : Name]: T[Name] };

declare const ours: OneSignal & ReturnType<typeof older>;

export const v16: IOneSignalOneSignal = ours;
// Its getTags resolves to the tags, which the type does not say.
export const v15: Omit<Named<typeof older15>, "getTags"> = ours;
