// No SDK at all: the page trusts that there is a window.clevertap.
const { clevertap } = window;
clevertap.init("APP");
clevertap.profile.push({ Site: { Score: 1 } });
export const sdk = async () => ({ event: { push: (...args) => clevertap.event.push(...args) }, handleIncrementValue: (...args) => clevertap.handleIncrementValue(...args) });
