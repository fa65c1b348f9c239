package caddymodule

// OptionNames are the options of the directive, its prompt and the global block.
func OptionNames() (names []string) {
	for _, options := range []map[string]option{new(Handler).options(), new(Prompt).options(), new(App).options()} {
		for name := range options {
			names = append(names, name)
		}
	}
	return names
}

// OpenStores returns the number of references to each open store, for tests of
// the life cycle.
func OpenStores() map[string]int {
	open := make(map[string]int)
	stores.Range(func(key, _ any) bool {
		if n, ok := stores.References(key); ok {
			open[key.(string)] = n
		}
		return true
	})
	return open
}

// Deferring is the type of Caddy's writers that change headers late.
var Deferring = deferring
