// Command harbor runs the embedded Harbor of drydock's tests: a real
// distribution registry in this process, behind a double of Harbor's project
// API, tokens and refusals. It prints its address and runs until it is stopped.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/seed-5b48bd9d/drydock/pkg/harbor/harbortest"
)

func main() {
	server, err := harbortest.New(nil)
	if err != nil {
		fmt.Fprintf(os.Stderr, "harbor: %v\n", err)
		os.Exit(1)
	}
	fmt.Println(server.URL())
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	<-stop
	server.Close()
}
