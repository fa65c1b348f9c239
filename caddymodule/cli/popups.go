package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/api"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/httpapi"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/popup"
)

func (c *command) popups() *cobra.Command {
	var site string
	list := func(cmd *cobra.Command, _ []string) error { return c.listPopups(cmd.Context(), site) }
	cmd := &cobra.Command{
		Use:   "popups --site <site>",
		Short: "Lists the pop-ups of a site; puts, runs, pauses, previews and counts them",
		Long: `Pop-ups are JSON files: 'put' checks one and stores it, 'run' shows it to visitors,
'pause' hides it. Changes need no reload; pages that are loaded later have them
within a minute.

` + statesHelp(),
		Example: `  caddy webpush popups put --site shop.example.com sale.json
  caddy webpush popups preview --site shop.example.com sale
  caddy webpush popups run --site shop.example.com sale
  caddy webpush popups stats --site shop.example.com sale`,
		Args: cobra.NoArgs,
		RunE: list,
	}
	cmd.PersistentFlags().StringVar(&site, "site", "", "Site of the pop-ups")
	cmd.AddCommand(
		&cobra.Command{Use: "list --site <site>", Short: "Lists the pop-ups", Long: "Lists the pop-ups of a site.\n\n" + statesHelp(), Args: cobra.NoArgs, RunE: list},
		&cobra.Command{
			Use: "show --site <site> <id>", Short: "Prints a pop-up as JSON, for editing and 'put'", Args: cobra.ExactArgs(1),
			RunE: func(cmd *cobra.Command, args []string) error { return c.showPopup(cmd.Context(), site, args[0]) },
		},
		c.putPopups(&site),
		c.popupState(&site, "run", "Shows a pop-up to visitors from now on", popup.Running),
		c.popupState(&site, "pause", "Hides a pop-up from visitors from now on", popup.Paused),
		&cobra.Command{
			Use: "delete --site <site> <id>", Short: "Deletes a pop-up", Args: cobra.ExactArgs(1),
			RunE: func(cmd *cobra.Command, args []string) error {
				id, err := c.popupID(cmd.Context(), site, args[0])
				if err != nil {
					return err
				}
				return c.removed(id, c.client(nil).DeletePopup(cmd.Context(), site, id, pushsvc.AnyRevision))
			},
		},
		c.popupStats(&site), c.previewPopup(&site), c.popupSettings(&site), c.upload(&site), c.uploads(&site),
	)
	needSite(&site, "pop-ups", append(cmd.Commands(), cmd)...)
	return cmd
}

func (c *command) listPopups(ctx context.Context, site string) error {
	var raw []byte
	list, err := c.client(&raw).ListPopups(ctx, site)
	if err != nil {
		return err
	}
	return c.print(raw, func(w io.Writer) error {
		if len(list.Popups) == 0 {
			c.warnUnconfigured(ctx, site)
			_, err := fmt.Fprintln(w, "No pop-ups yet: 'caddy webpush popups put --site "+printable(site)+" <file>' stores one.")
			return err
		}
		var rows [][]any
		var states []popup.State
		for _, p := range list.Popups {
			states = append(states, listedState(p.Popup, time.Now()))
			rows = append(rows, []any{
				p.Popup.ID, states[len(states)-1], p.Popup.Kind, p.Popup.Priority, max(1, len(p.Popup.Variants)), p.Updated, p.Popup.Name,
			})
		}
		if err := table(w, []string{"ID", "STATE", "KIND", "PRIORITY", "VARIANTS", "CHANGED", "NAME"}, rows); err != nil {
			return err
		}
		return explainStates(w, states)
	})
}

func (c *command) showPopup(ctx context.Context, site, given string) error {
	id, err := c.popupID(ctx, site, given)
	if err != nil {
		return err
	}
	var raw []byte
	if _, err := c.client(&raw).ShowPopup(ctx, site, id); err != nil {
		return err
	}
	return c.print(raw, func(w io.Writer) error {
		var out bytes.Buffer
		if err := json.Indent(&out, raw, "", "  "); err != nil {
			return fmt.Errorf("the server's answer is not an answer of webpush: %w", err)
		}
		_, err := out.WriteTo(w)
		return err
	})
}

func (c *command) putPopups(site *string) *cobra.Command {
	var run bool
	cmd := &cobra.Command{
		Use:   "put --site <site> <file>…",
		Short: "Stores pop-ups from JSON files; - is the standard input",
		Long: `Checks pop-ups and stores them, each in place of the one that had its id. A file
that has no "state" makes a draft, also of one that was running: with --run it
runs from now on.`,
		Example: `  caddy webpush popups put --site shop.example.com sale.json
  caddy webpush popups put --site shop.example.com --run popups/*.json`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, file := range args {
				if err := c.putPopup(cmd.Context(), *site, file, run); err != nil {
					return fmt.Errorf("%s: %w", file, err)
				}
			}
			c.warnUnconfigured(cmd.Context(), *site)
			return nil
		},
	}
	cmd.Flags().BoolVar(&run, "run", false, "Show them to visitors at once")
	return cmd
}

// warnUnconfigured warns if the running configuration lacks the site: pop-ups may be
// stored before the site exists, but most often its name is misspelt.
func (c *command) warnUnconfigured(ctx context.Context, site string) {
	if _, err := c.client(nil).ShowPrompt(ctx, site); err != nil {
		fmt.Fprintln(os.Stderr, "warning:", err)
	}
}

func (c *command) putPopup(ctx context.Context, site, file string, run bool) error {
	text, err := readPopup(file)
	if err != nil {
		return err
	}
	var named struct{ ID string }
	if err := json.Unmarshal(text, &named); err != nil {
		return errors.New(jsonFault(text, err))
	}
	if named.ID == "" {
		return errors.New(`id is missing: it names the pop-up, such as "id": "spring-sale"`)
	}
	var raw []byte
	p, err := c.client(&raw).PutPopupJSON(ctx, site, named.ID, text, pushsvc.AnyRevision)
	for _, w := range p.Warnings {
		fmt.Fprintln(os.Stderr, "warning:", w)
	}
	if err == nil && run {
		p, err = c.client(&raw).SetPopupState(ctx, site, named.ID, api.PopupStateRequest{State: popup.Running})
	}
	if err != nil {
		return err
	}
	return c.print(raw, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "Pop-up %s of %s is stored and %s.\n", p.Popup.ID, p.Site, stateWords(p.Popup, time.Now()))
		return err
	})
}

// readPopup reads a file of at most four times the size limit of pop-ups.
func readPopup(file string) ([]byte, error) {
	in := io.Reader(os.Stdin)
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, fmt.Errorf("opening the file: %w", err)
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, 4*popup.MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("reading the file: %w", err)
	}
	if len(text) > 4*popup.MaxSize {
		return nil, errors.New("the file is larger than the limit for pop-ups")
	}
	return bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")), nil // as some editors begin UTF-8
}

// jsonFault describes the fault in a file that is not JSON, with its place.
func jsonFault(text []byte, err error) string {
	var syntax *json.SyntaxError
	var typ *json.UnmarshalTypeError
	offset := int64(-1)
	switch {
	case errors.As(err, &syntax):
		offset = syntax.Offset
	case errors.As(err, &typ):
		return "is no JSON object with an id of letters and digits"
	}
	if offset < 0 || offset > int64(len(text)) {
		return fmt.Sprintf("is no JSON: %v", err)
	}
	before := text[:offset]
	line := bytes.Count(before, []byte("\n")) + 1
	return fmt.Sprintf("is no JSON in line %d, column %d: %v", line, len(before)-bytes.LastIndexByte(before, '\n')-1, err)
}

func (c *command) popupState(site *string, name, short string, state popup.State) *cobra.Command {
	return &cobra.Command{
		Use: name + " --site <site> <id>", Short: short, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := c.popupID(cmd.Context(), *site, args[0])
			if err != nil {
				return err
			}
			var raw []byte
			p, err := c.client(&raw).SetPopupState(cmd.Context(), *site, id, api.PopupStateRequest{State: state})
			if err != nil {
				return err
			}
			return c.print(raw, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "Pop-up %s of %s is %s.\n", p.Popup.ID, p.Site, stateWords(p.Popup, time.Now()))
				return err
			})
		},
	}
}

func (c *command) popupStats(site *string) *cobra.Command {
	var from, to string
	var hours bool
	cmd := &cobra.Command{
		Use:   "stats --site <site> <id>",
		Short: "Counts views, clicks and conversions of a pop-up, by variant",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			begin, err := parseBound("from", from)
			if err != nil {
				return err
			}
			end, err := parseBound("to", to)
			if err != nil {
				return err
			}
			id, err := c.popupID(cmd.Context(), *site, args[0])
			if err != nil {
				return err
			}
			var raw []byte
			stats, err := c.client(&raw).PopupStats(cmd.Context(), *site, id, begin, end)
			if err != nil {
				return err
			}
			return c.print(raw, func(w io.Writer) error { return printPopupStats(w, stats, hours, from+to != "") })
		},
	}
	cmd.Flags().StringVar(&from, "from", "", `Count from this time on, such as "2026-12-01 09:00"`)
	cmd.Flags().StringVar(&to, "to", "", "Count up to this time")
	cmd.Flags().BoolVar(&hours, "hours", false, "Count hour by hour too")
	return cmd
}

func (c *command) previewPopup(site *string) *cobra.Command {
	var page, variant string
	cmd := &cobra.Command{
		Use:   "preview --site <site> <id>",
		Short: "Prints an address that shows a pop-up, drafts too, for an hour",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := c.popupID(cmd.Context(), *site, args[0])
			if err != nil {
				return err
			}
			var raw []byte
			p, err := c.client(&raw).PreviewPopup(cmd.Context(), *site, id, api.PreviewRequest{Page: page, Variant: variant})
			if err != nil {
				return err
			}
			return c.print(raw, func(w io.Writer) error {
				_, err := fmt.Fprintln(w, p.URL)
				return err
			})
		},
	}
	cmd.Flags().StringVar(&page, "page", "", "Page to show it on: a path or a URL (default: the start page)")
	cmd.Flags().StringVar(&variant, "variant", "", "Variant to show (default: the first one)")
	return cmd
}

func (c *command) popupSettings(site *string) *cobra.Command {
	var perSession, perDay, holdout int
	cmd := &cobra.Command{
		Use:   "settings --site <site>",
		Short: "Shows or changes the settings of all pop-ups of a site",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var raw []byte
			client := c.client(&raw)
			set, err := client.ShowPopupSettings(cmd.Context(), *site)
			if err != nil {
				return err
			}
			changed := false
			for name, to := range map[string]struct {
				from int
				to   *int
			}{"per-session": {perSession, &set.PerSession}, "per-day": {perDay, &set.PerDay}, "holdout": {holdout, &set.Holdout}} {
				if cmd.Flags().Changed(name) {
					*to.to, changed = to.from, true
				}
			}
			if changed {
				if set, err = client.SetPopupSettings(cmd.Context(), *site, set, pushsvc.AnyRevision); err != nil {
					return err
				}
				c.warnUnconfigured(cmd.Context(), *site)
			}
			return c.print(raw, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "Pop-ups in one session: %s; in one day: %s. %d%% of the visitors never see any.\n",
					bound(set.PerSession), bound(set.PerDay), set.Holdout)
				return err
			})
		},
	}
	cmd.Flags().IntVar(&perSession, "per-session", 0, "How many pop-ups a visitor sees in one session at most; 0 for no bound")
	cmd.Flags().IntVar(&perDay, "per-day", 0, "How many in one day; 0 for no bound")
	cmd.Flags().IntVar(&holdout, "holdout", 0, "Percentage of visitors that never see a pop-up")
	return cmd
}

// bound returns a cap in words.
func bound(n int) string {
	if n == 0 {
		return "no bound"
	}
	return fmt.Sprintf("%d at most", n)
}

// uploadAddress returns an image's address on the site: the default address if the server
// has no such site yet.
func uploadAddress(u api.Upload) string {
	if u.Address == "" {
		return httpapi.DefaultPrefix + "/" + u.Path
	}
	return u.Address
}

func (c *command) upload(site *string) *cobra.Command {
	return &cobra.Command{
		Use:   "upload --site <site> <file>",
		Short: "Uploads an image (PNG, JPEG, GIF, WebP, AVIF; up to 1 MiB) and prints its address",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := os.Open(args[0])
			if err != nil {
				return fmt.Errorf("opening the image: %w", err)
			}
			defer f.Close()
			data, err := io.ReadAll(io.LimitReader(f, popup.MaxUploadSize+1))
			if err != nil {
				return fmt.Errorf("reading the image: %w", err)
			}
			var raw []byte
			u, err := c.client(&raw).Upload(cmd.Context(), *site, bytes.NewReader(data))
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			c.warnUnconfigured(cmd.Context(), *site)
			return c.print(raw, func(w io.Writer) error {
				_, err := fmt.Fprintln(w, uploadAddress(u))
				return err
			})
		},
	}
}

func (c *command) uploads(site *string) *cobra.Command {
	var remove string
	cmd := &cobra.Command{
		Use:   "uploads --site <site>",
		Short: "Lists the uploaded images, or removes one",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if remove != "" {
				return c.removed(remove, c.client(nil).DeleteUpload(cmd.Context(), *site, remove))
			}
			var raw []byte
			list, err := c.client(&raw).ListUploads(cmd.Context(), *site)
			if err != nil {
				return err
			}
			return c.print(raw, func(w io.Writer) error {
				var rows [][]any
				for _, u := range list.Uploads {
					rows = append(rows, []any{u.Name, u.Type, u.Size, u.Created, uploadAddress(u)})
				}
				return table(w, []string{"NAME", "TYPE", "BYTES", "UPLOADED", "ADDRESS"}, rows)
			})
		},
	}
	cmd.Flags().StringVar(&remove, "remove", "", "Name of an image to remove")
	return cmd
}
