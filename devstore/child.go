package devstore

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/s3mesh/s3mesh"
)

// drainTime is how long requests in flight may take to finish once the region is asked to stop.
const drainTime = 2 * time.Second

// Main serves a region and exits, if this process was started to be one; otherwise it returns at once. Call it first
// thing in main and in TestMain, before flags are parsed and anything is written to standard output.
func Main() {
	if os.Getenv(childVariable) == "" {
		return
	}
	// The server prints to standard output now and then, which is the channel of the report.
	stdout := os.Stdout
	os.Stdout = os.Stderr
	// Ctrl-C reaches the whole process group: it is for the parent to decide what it means.
	signal.Ignore(os.Interrupt, syscall.SIGHUP)

	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	if err := serveRegion(os.Stdin, stdout, log); err != nil {
		if !errors.Is(err, errReported) {
			log.Error("region failed", "error", err.Error())
		}
		os.Exit(1)
	}
	os.Exit(0)
}

// errReported is a failure that the parent has been told of.
var errReported = errors.New("the region did not start")

// serveRegion reads the order from in, serves it, writes the report to out, and returns when told to stop. When in ends
// the parent is dead, and the process exits there and then.
func serveRegion(in io.Reader, out io.WriteCloser, log *slog.Logger) error {
	commands := bufio.NewReader(in)
	var o order
	if err := readOrder(commands, &o); err != nil {
		return err
	}
	stop := make(chan struct{})
	go obey(commands, stop)

	s, err := openServer(o, log)
	rep := report{Kind: s3mesh.KindOf(err)}
	if err != nil {
		rep.Error = causeOf(err)
	} else {
		rep.Addr = s.addr
	}
	if err := errors.Join(json.NewEncoder(out).Encode(rep), out.Close()); err != nil {
		return fmt.Errorf("report to the parent: %w", err)
	}
	if err != nil {
		return errReported
	}
	return s.wait(stop)
}

// causeOf leaves out the kind that an Error's own text begins with: the report carries it apart.
func causeOf(err error) string {
	if e := (*s3mesh.Error)(nil); errors.As(err, &e) && e.Err != nil {
		return e.Err.Error()
	}
	return err.Error()
}

func readOrder(commands *bufio.Reader, o *order) error {
	line, err := commands.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("read the order: %w", err)
	}
	if json.Unmarshal(line, o) != nil {
		return errors.New("the order is not valid JSON") // its text holds secrets
	}
	return nil
}

// obey closes stop at the first command or SIGTERM, and ends the process when the parent is gone: also while it stops.
func obey(commands *bufio.Reader, stop chan<- struct{}) {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGTERM)
	go func() {
		<-asked
		close(stop)
	}()
	for {
		line, err := commands.ReadString('\n')
		if err != nil {
			os.Exit(1)
		}
		if strings.TrimSpace(line) == stopCommand {
			select {
			case asked <- syscall.SIGTERM:
			default: // asked already
			}
		}
	}
}
