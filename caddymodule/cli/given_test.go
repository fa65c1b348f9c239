package cli

import (
	"io"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// TestGivenFlags: a flag or an argument that is given and empty is refused before
// anything is asked of the server.
func TestGivenFlags(t *testing.T) {
	for _, tt := range []struct{ line, want string }{
		{"send --site a --title x --to=", "--to is empty"},
		{"send --site a --title x --to=_", "--to is empty"},
		{"send --site a --title x --at=", "--at is empty"},
		{"send --site a --title x --topic=", "--topic is empty"},
		{"send --site a --title x --topic news --topic=", "--topic is empty"},
		{"send --site a --title x --rate=", "--rate is empty"},
		{"send --site a --title x --vibrate=", "--vibrate"},
		{"send --site= --title x", "--site is empty"},
		{"send --site a --title x --body=", "--body is empty"},
		{"send --site a --title x --address=", "--address is empty"},
		{"send --site a --title x --topic news", ""},
		{"prompt set --site a --paths=", "--paths is empty"},
		{"prompt set --site a --consent=", "--consent is empty"},
		{"prompt set --site a --unset=", "--unset is empty"},
		{"prompt set --site a --title=", ""},
		{"messages --site a ~", "an argument is empty"},
		{"popups delete --site a ~", "an argument is empty"},
	} {
		ran := false
		root := &cobra.Command{Use: "webpush", SilenceErrors: true, SilenceUsage: true}
		c := new(command)
		root.PersistentFlags().StringVar(&c.address, "address", "", "")
		root.AddCommand(c.send(), c.messages(), c.popups(), c.prompt())
		root.PersistentPreRunE = checkGiven
		runInstead(root, func() { ran = true })
		args := strings.Fields(tt.line)
		for i := range args {
			args[i] = strings.NewReplacer("~", "", "_", " ").Replace(args[i])
		}
		root.SetArgs(args)
		root.SetOut(io.Discard)
		err := root.Execute()
		if tt.want == "" && (err != nil || !ran) || tt.want != "" && (ran || err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, ran %v; want %q", tt.line, err, ran, tt.want)
		}
	}
}

// runInstead puts run in the place of what the commands do.
func runInstead(cmd *cobra.Command, run func()) {
	for _, sub := range cmd.Commands() {
		sub.RunE = func(*cobra.Command, []string) error { run(); return nil }
		runInstead(sub, run)
	}
}
