package beam

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"sync"
	"syscall"
	"time"
)

// Node is a running node. Start makes it; its methods may be called from any goroutine.
type Node struct {
	socket     string
	dir        string // holds the socket; "" when that was given
	registered []string
	line       *os.File
	cmd        *exec.Cmd

	ended  chan struct{} // closed when the process is gone
	status error         // of the process, from then on

	stop    sync.Once
	stopped error
}

// Socket returns the path at which the node listens.
func (n *Node) Socket() string { return n.socket }

// Registered returns the names of the functions that were registered.
func (n *Node) Registered() []string { return slices.Clone(n.registered) }

// PID returns the process id of the node, which is that of its process group as well.
func (n *Node) PID() int { return n.cmd.Process.Pid }

// Ended returns a channel that is closed when the node is gone, for whatever reason.
func (n *Node) Ended() <-chan struct{} { return n.ended }

// Stop ends the node and removes what Start made. It waits up to five seconds for the node to halt, then kills it and
// all that it started. An error says that the node had ended by itself, badly, or had to be killed. A second Stop
// returns what the first did.
func (n *Node) Stop() error {
	n.stop.Do(func() { n.stopped = n.halt() })
	return n.stopped
}

// halt is the one Stop that does it.
func (n *Node) halt() error {
	defer n.clean()
	select {
	case <-n.ended:
		n.line.Close()
		if n.status != nil {
			return fmt.Errorf("the node had ended before: %w", n.status)
		}
		return nil
	default:
	}
	n.line.Close()
	select {
	case <-n.ended:
	case <-time.After(stopLimit):
		n.kill()
		<-n.ended
		return fmt.Errorf("the node did not halt within %v and was killed", stopLimit)
	}
	if n.status != nil {
		return fmt.Errorf("the node ended badly: %w", n.status)
	}
	return nil
}

// abandon ends a node that did not become ready. One that said why halts by itself; any other may be in a state in
// which it does not hear us.
func (n *Node) abandon(err error) {
	var said *StartError
	if !errors.As(err, &said) {
		n.kill()
	}
	_ = n.Stop()
}

// kill ends the node's process group. As long as wait has not reaped the node, its number is not another's.
func (n *Node) kill() {
	select {
	case <-n.ended:
	default:
		_ = syscall.Kill(-n.PID(), syscall.SIGKILL)
	}
}

// wait reaps the process.
func (n *Node) wait() {
	n.status = n.cmd.Wait()
	close(n.ended)
}

// lastWords describes the end of a node that has closed the line.
func (n *Node) lastWords() string {
	select {
	case <-n.ended:
	case <-time.After(stopLimit):
		return "it closed descriptor 3"
	}
	return n.cmd.ProcessState.String()
}

func (n *Node) clean() {
	if n.dir != "" {
		os.RemoveAll(n.dir)
	}
}
