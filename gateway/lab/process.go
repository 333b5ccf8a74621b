// SPDX-License-Identifier: MPL-2.0

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is a program of the lab that is started, ended and started again.
type process struct {
	name    string
	site    site
	command []string
	env     []string
	log     string

	mu      sync.Mutex
	running *exec.Cmd
	ended   chan struct{}
}

// starts are carried out by one thread that does not end before the program does: the system
// kills a child when the thread that made it ends.
var starts = make(chan func())

func init() {
	go func() {
		runtime.LockOSThread()
		for start := range starts {
			start()
		}
	}()
}

// onThread calls f on that thread.
func onThread(f func() error) error {
	result := make(chan error)
	starts <- func() { result <- f() }
	return <-result
}

func (p *process) start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	command := p.site.inside(p.command)
	c := exec.Command(command[0], command[1:]...)
	c.Stdout, c.Stderr = log, log
	c.Env = append(os.Environ(), p.env...)
	// A group of its own, so that all of its processes can be killed.
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := onThread(c.Start); err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	ended := make(chan struct{})
	p.running, p.ended = c, ended
	go func() {
		_ = c.Wait() // what it ended with is in its log
		close(ended)
	}()
	return nil
}

// alive reports whether it has not ended.
func (p *process) alive() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running == nil {
		return false
	}
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

func (p *process) pid() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running == nil {
		return 0
	}
	return p.running.Process.Pid
}

// signal sends it to the process, not to its children.
func (p *process) signal(s syscall.Signal) error { return syscall.Kill(p.pid(), s) }

// kill ends it and its children at once.
func (p *process) kill() {
	if pid := p.pid(); pid > 0 {
		_ = syscall.Kill(-pid, syscall.SIGKILL) // or it has ended
		<-p.ended
	}
}

// end asks it to end, and kills it when it does not.
func (p *process) end(most time.Duration) (late bool) {
	pid := p.pid()
	if pid == 0 {
		return false
	}
	_ = p.signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(most):
		late = true
	}
	p.kill()
	return late
}

// tail is the end of its log.
func (p *process) tail() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-2000):])
}

// resident is the memory of a process and of its children, in bytes.
func resident(pid int) (total int64) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			total += kb << 10
		}
	}
	children, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, file := range children {
		text, _ := os.ReadFile(file)
		for _, child := range strings.Fields(string(text)) {
			number, _ := strconv.Atoi(child)
			total += resident(number)
		}
	}
	return total
}

// ticks is the time of processors that a process has taken, in ticks of the kernel.
func (p *process) ticks() int64 { return ticksOf(p.pid()) }

func ticksOf(pid int) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	// The name, which may have blanks, ends with the last parenthesis; user and system time are fields 14 and 15.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	return sumOf(fields[11:13])
}

// idleTicks is the time that the machine's processors had nothing to do.
func idleTicks() int64 {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return sumOf(strings.Fields(line)[4:6]) // idle, and idle with a disk at work
}

func sumOf(numbers []string) (sum int64) {
	for _, number := range numbers {
		n, _ := strconv.ParseInt(number, 10, 64)
		sum += n
	}
	return sum
}

// tick is one of them: on Linux USER_HZ is 100 on all processors that Go has.
const tick = 10 * time.Millisecond
