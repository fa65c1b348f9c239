/** A storage area whose items are properties too, as in browsers. It takes so many
 * characters; 0: none. */
export function listedArea(room = 5_000_000): Storage {
  const items: Record<string, string> = {};
  const size = () => Object.entries(items).reduce((sum, [name, value]) => sum + name.length + value.length, 0);
  const methods: Record<string, unknown> = {
    clear: () => Object.keys(items).forEach((name) => delete items[name]),
    getItem: (name: string) => items[name] ?? null,
    removeItem: (name: string) => void delete items[name],
    setItem: (name: string, value: string) => {
      if (size() + value.length > room) throw new DOMException("full", "QuotaExceededError");
      items[name] = String(value);
    },
  };
  return new Proxy(items, {
    get: (target, name) => methods[name as string] ?? target[name as string],
  }) as unknown as Storage;
}
