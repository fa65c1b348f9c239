// Package cli is the command "caddy webpush": it asks the operator's API of a running
// Caddy over its admin endpoint, and prints the answers for people or as JSON.
package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// Command returns the command with all its subcommands. storeFile resolves the configured
// path of the bbolt store, which may be empty.
func Command(storeFile func(configured string) (string, error)) caddycmd.Command {
	return caddycmd.Command{
		Name:  "webpush",
		Usage: "<command>",
		Short: "Sends web pushes and manages sites, subscribers, profiles, messages, the prompt, pop-ups, keys and backups",
		Long: `
Uses the admin endpoint of the running Caddy. The address comes from --address, or
from the file of --config, or is Caddy's default. Only doctor and restore need no
running Caddy.

The exit status is 0 if the command has succeeded, else 1.`,
		CobraFunc: func(cmd *cobra.Command) {
			c := &command{storeFile: storeFile}
			flags := cmd.PersistentFlags()
			flags.StringVarP(&c.config, "config", "c", "", "Configuration file to take the admin address from")
			flags.StringVarP(&c.adapter, "adapter", "a", "", "Name of the config adapter for --config")
			flags.StringVar(&c.address, "address", "", "Address of the admin endpoint, such as localhost:2019")
			flags.BoolVar(&c.json, "json", false, "Print JSON for scripts")
			cmd.AddCommand(c.send(), c.sites(), c.subscribers(), c.profiles(), c.messages(), c.prompt(), c.popups(), c.keys(), c.backup(), c.restore(), c.compact(), c.doctor())
			sayUsage(cmd)
			// cobra shows a line for the command alone and one for its subcommands; webpush has only these.
			cmd.SetUsageTemplate(strings.NewReplacer(
				"{{if .Runnable}}", `{{if and .Runnable (ne .Name "webpush")}}`, "{{.CommandPath}} [command]", "{{.CommandPath}} <command>",
			).Replace(cmd.UsageTemplate()))
			cmd.PersistentPreRunE = checkGiven
			// A misspelled command is reported before its flags, which are not known here.
			cmd.FParseErrWhitelist.UnknownFlags = true
			cmd.SetFlagErrorFunc(flagError)
			cmd.RunE = func(cmd *cobra.Command, args []string) error {
				if len(args) == 0 {
					return cmd.Help()
				}
				var names []string
				for _, sub := range cmd.Commands() {
					names = append(names, sub.Name())
				}
				return fmt.Errorf("unknown command %q%s; see 'caddy webpush --help'", args[0], pushsvc.DidYouMean(": ", pushsvc.Nearest(args[0], names)))
			}
		},
	}
}

// flagError suggests the flag that is most similar to an unknown one.
func flagError(cmd *cobra.Command, err error) error {
	name, unknown := strings.CutPrefix(err.Error(), "unknown flag: --")
	if !unknown {
		return err
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	if near := pushsvc.Nearest(name, names); near != "" {
		return fmt.Errorf("%w%s", err, pushsvc.DidYouMean(": ", "--"+near))
	}
	return fmt.Errorf("%w; see '%s --help'", err, cmd.CommandPath())
}

// sayUsage adds the usage line to the errors about arguments of all subcommands:
// cobra's errors only count the arguments.
func sayUsage(parent *cobra.Command) {
	for _, cmd := range parent.Commands() {
		if check := cmd.Args; check != nil {
			cmd.Args = func(cmd *cobra.Command, args []string) error {
				err := check(cmd, args)
				if err == nil {
					return nil
				}
				use := strings.TrimSuffix(cmd.UseLine(), " [flags]")
				if len(args) > 0 && cmd.HasSubCommands() {
					return fmt.Errorf("%q is not a command here; write it like: %s, or see '%s --help'", args[0], use, cmd.CommandPath())
				}
				return fmt.Errorf("there are too many or too few arguments; write it like: %s", use)
			}
		}
		sayUsage(cmd)
	}
}

// checkGiven refuses a command without a required flag, which cobra does without a cure, and
// flags and arguments that are given and empty, as "$UNSET" is in a script. Read as "not given", --to "" would send to everybody.
func checkGiven(cmd *cobra.Command, args []string) (err error) {
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if _, required := f.Annotations[cobra.BashCompOneRequiredFlag]; err == nil && required && !f.Changed {
			err = fmt.Errorf("--%s is missing: it must be %s", f.Name, mustBe[f.Name])
		}
	})
	cmd.Flags().Visit(func(f *pflag.Flag) {
		values := []string{f.Value.String()}
		if list, ok := f.Value.(pflag.SliceValue); ok {
			values = list.GetSlice()
		}
		_, free := f.Annotations[mayBeEmpty]
		if err == nil && !free && (len(values) == 0 || slices.ContainsFunc(values, isBlank)) {
			err = fmt.Errorf("--%s is empty: %s, or set the variable that it is filled from", f.Name, cureEmpty(cmd, f))
		}
	})
	if err == nil && slices.ContainsFunc(args, isBlank) {
		err = fmt.Errorf("an argument is empty: set the variable that it is filled from; write it like: %s",
			strings.TrimSuffix(cmd.UseLine(), " [flags]"))
	}
	return err
}

// mustBe describes the value of a required flag. The flag cannot be left out.
var mustBe = map[string]string{
	"site":  "the name of a site, such as shop.example.com",
	"title": "the title of the notification",
	"where": `an expression, such as !known && visits < 2`,
}

// cureEmpty returns the cure for a flag with an empty value.
func cureEmpty(cmd *cobra.Command, f *pflag.Flag) string {
	_, required := f.Annotations[cobra.BashCompOneRequiredFlag]
	if required || f.Name == "site" && cmd.Annotations[needsSite] != "" {
		return "it must be " + mustBe[f.Name]
	}
	return "leave it out"
}

// needsSite annotates commands that fail without --site, with the noun for the error.
const needsSite = "webpush_needs_site"

// mayBeEmpty annotates flags whose empty value has a meaning.
const mayBeEmpty = "webpush_may_be_empty"

func isBlank(s string) bool { return strings.TrimSpace(s) == "" }

// command has the flags that the subcommands share: how to reach the server and how
// to print.
type command struct {
	config, adapter, address string
	json                     bool
	// storeFile resolves the configured path of the store.
	storeFile func(configured string) (string, error)
}

// self returns the command line that calls this program for the same server again.
func (c *command) self() string {
	var b strings.Builder
	b.WriteString("caddy webpush")
	for _, flag := range []struct{ name, value string }{{"address", c.address}, {"config", c.config}, {"adapter", c.adapter}} {
		if flag.value != "" {
			fmt.Fprintf(&b, " --%s %s", flag.name, printable(flag.value))
		}
	}
	return b.String()
}

// print writes raw with --json, and otherwise the output of people.
func (c *command) print(raw []byte, people func(w io.Writer) error) error {
	if c.json {
		_, err := os.Stdout.Write(raw)
		return err
	}
	return people(os.Stdout)
}

// printValue is print for a value that is not an answer of the API.
func (c *command) printValue(v any, people func(w io.Writer) error) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encoding the result: %w", err)
	}
	return c.print(append(raw, '\n'), people)
}

// removed prints that the thing with the name was removed, or returns err.
func (c *command) removed(name string, err error) error {
	if err != nil {
		return err
	}
	return c.printValue(struct {
		Removed string `json:"removed"`
	}{name}, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "Removed: %s.\n", printable(name))
		return err
	})
}

// needSite refuses commands without --site, the flag of site.
func needSite(site *string, what string, commands ...*cobra.Command) {
	for _, cmd := range commands {
		cmd.Annotations = map[string]string{needsSite: what}
		cmd.PreRunE = func(*cobra.Command, []string) error {
			if *site == "" {
				return fmt.Errorf("--site is missing: it names the site of the %s, such as shop.example.com", what)
			}
			return nil
		}
	}
}
