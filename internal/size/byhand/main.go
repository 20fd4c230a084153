// Command byhand does what onecall does with net/http and encoding/json alone.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
)

func main() {
	req, _ := http.NewRequest("GET", "https://driftapi.com/v2/conversations/42", nil)
	req.Header.Set("Authorization", "Bearer "+os.Getenv("DRIFT_TOKEN"))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	var v struct {
		Data struct {
			ID    int64  `json:"id"`
			Title string `json:"title"`
		} `json:"data"`
	}
	if err := json.Unmarshal(b, &v); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(v.Data.ID, v.Data.Title)
}
