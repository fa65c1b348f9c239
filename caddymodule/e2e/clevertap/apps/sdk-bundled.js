// The SDK from npm, as CleverTap's guide has it.
import clevertap from "clevertap-web-sdk";

clevertap.init("APP", "eu1");
clevertap.setLogLevel(1);
clevertap.privacy.push({ optOut: false });
clevertap.spa = true;
clevertap.profile.push({ Site: { Score: 1 } });

export const sdk = async () => ({ event: clevertap.event, handleIncrementValue: (...args) => clevertap.handleIncrementValue(...args) });
