export interface PopupRule { id: string; [key: string]: unknown }
export function couldApply(_rule: PopupRule, _page: unknown): boolean { return true; }
