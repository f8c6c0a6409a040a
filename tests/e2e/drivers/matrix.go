// Go lib/pq, whose unnamed statement lives across two Syncs: GO111MODULE=off go run matrix.go URL
package main

import (
	"context"
	"database/sql"
	"fmt"
	"log"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/lib/pq"
)

func check(err error, what string) {
	if err != nil {
		log.Fatalf("step failed: %s: %v", what, err)
	}
}

func code(err error) string {
	if e, ok := err.(*pq.Error); ok {
		return string(e.Code)
	}
	return fmt.Sprint(err)
}

func run(url string) {
	db, err := sql.Open("postgres", url)
	check(err, "open")
	defer db.Close()
	var group sync.WaitGroup
	for client := 0; client < 24; client++ {
		group.Add(1)
		go func(client int) {
			defer group.Done()
			for i := 0; i < 100; i++ {
				var a, b int
				var t string
				check(db.QueryRow(fmt.Sprintf("select $1::int, $2::int, 'c%d'::text", client%5), client, i).Scan(&a, &b, &t), "query")
				if a != client || b != i || t != fmt.Sprintf("c%d", client%5) {
					log.Fatalf("another client's answer: wanted %d %d, got %d %d %s", client, i, a, b, t)
				}
			}
		}(client)
	}
	group.Wait()
	statement, err := db.Prepare("select $1::int * 2")
	check(err, "prepare")
	for i := 0; i < 50; i++ {
		var v int
		check(statement.QueryRow(i).Scan(&v), "prepared")
		if v != 2*i {
			log.Fatalf("prepared: %d", v)
		}
	}
	check(statement.Close(), "close")
	big := strings.Repeat("x", 10<<20)
	var back string
	check(db.QueryRow("select $1::text", big).Scan(&back), "10 MB")
	if back != big {
		log.Fatal("10 MB differ")
	}
	rows, err := db.Query("select n from generate_series(1, 100000) n")
	check(err, "100 000 rows")
	seen := 0
	for rows.Next() {
		seen++
	}
	if seen != 100000 {
		log.Fatalf("%d rows", seen)
	}
	_, err = db.Exec("create table if not exists matrix_go (k int primary key, v text)")
	check(err, "create")
	_, err = db.Exec("truncate matrix_go")
	check(err, "truncate")
	tx, err := db.BeginTx(context.Background(), &sql.TxOptions{Isolation: sql.LevelRepeatableRead})
	check(err, "begin")
	_, err = tx.Exec("insert into matrix_go values ($1, $2)", 1, "kept")
	check(err, "insert")
	_, err = tx.Exec("savepoint s")
	check(err, "savepoint")
	if _, err = tx.Exec("insert into matrix_go values ($1, $2)", 1, "twice"); code(err) != "23505" {
		log.Fatalf("duplicate: %v", err)
	}
	_, err = tx.Exec("rollback to savepoint s")
	check(err, "rollback to")
	check(tx.Commit(), "commit")
	tx, _ = db.Begin()
	copying, err := tx.Prepare(pq.CopyIn("matrix_go", "k", "v"))
	check(err, "copy")
	for k := 10; k < 1000; k++ {
		_, err = copying.Exec(k, "value")
		check(err, "copy row")
	}
	_, err = copying.Exec()
	check(err, "copy end")
	check(copying.Close(), "copy close")
	check(tx.Commit(), "copy commit")
	var count int
	check(db.QueryRow("select count(*) from matrix_go").Scan(&count), "count")
	if count != 991 {
		log.Fatalf("count %d", count)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	begin := time.Now()
	if _, err = db.ExecContext(ctx, "select pg_sleep(30)"); err == nil || time.Since(begin) > 10*time.Second {
		log.Fatalf("cancel: %v after %v", err, time.Since(begin))
	}
}

func main() {
	run(os.Args[1])
	run(os.Args[1] + "&binary_parameters=yes")
	fmt.Println("passed")
}
