package caddymodule

import (
	"fmt"
	"slices"
	"strings"

	"github.com/caddy-webpush/caddy-webpush/caddymodule/providers"
	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// checkProviders returns an error that names the invalid entry of migrate_from.
func checkProviders(from []string) error {
	const option = "migrate_from"
	for _, entry := range from {
		if strings.HasPrefix(entry, "/") {
			if err := checkPath(option, entry, "/js/worker.js"); err != nil {
				return err
			}
			continue
		}
		if slices.Contains(providers.Names(), entry) {
			continue
		}
		if near := pushsvc.Nearest(entry, providers.Names()); near != "" {
			return &optionError{option, fmt.Sprintf("%q is not known%s", entry, pushsvc.DidYouMean("; ", near))}
		}
		return &optionError{option, fmt.Sprintf("%q is not known; known are: %s; for others write the path of their service worker, such as /js/worker.js",
			entry, strings.Join(providers.Names(), ", "))}
	}
	return nil
}
