// Command machine is the first process of the machines of tests. It is linked
// statically: it runs in images that have no libraries.
package main

import (
	"os"

	"souk/artifact/appstream/assistant"
	"souk/artifact/machine/agent"
	"souk/artifact/machine/sandbox"
)

func main() {
	sandbox.Main(map[string]agent.Tool{
		"image-assistant": assistant.Tool, "AppStreamImageAssistant": assistant.Tool,
		"reboot": assistant.RebootTool, "poweroff": assistant.PowerOffTool,
	})
	os.Stderr.WriteString("this program is started by tests\n")
	os.Exit(2)
}
