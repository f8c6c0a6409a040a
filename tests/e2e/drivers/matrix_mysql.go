// Go go-sql-driver: parameters prepared and closed each time, or interpolated: GO111MODULE=off go run matrix_mysql.go DSN
package main

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"log"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/go-sql-driver/mysql"
)

func check(err error, what string) {
	if err != nil {
		log.Fatalf("step failed: %s: %v", what, err)
	}
}

func number(err error) uint16 {
	if e, ok := err.(*mysql.MySQLError); ok {
		return e.Number
	}
	return 0
}

func run(dsn string) {
	db, err := sql.Open("mysql", dsn)
	check(err, "open")
	defer db.Close()
	check(db.Ping(), "ping")
	var group sync.WaitGroup
	for client := 0; client < 24; client++ {
		group.Add(1)
		go func(client int) {
			defer group.Done()
			for i := 0; i < 100; i++ {
				var a, b int
				var t string
				check(db.QueryRow(fmt.Sprintf("select ?, ?, 'c%d'", client%5), client, i).Scan(&a, &b, &t), "query")
				if a != client || b != i || t != fmt.Sprintf("c%d", client%5) {
					log.Fatalf("another client's answer: wanted %d %d, got %d %d %s", client, i, a, b, t)
				}
			}
		}(client)
	}
	group.Wait()
	statement, err := db.Prepare("select ? * 2, ?")
	check(err, "prepare")
	for i := 0; i < 50; i++ {
		var v int
		var s sql.NullString
		var given interface{}
		if i%2 == 0 {
			given = fmt.Sprint(i)
		}
		check(statement.QueryRow(i, given).Scan(&v, &s), "prepared")
		if v != 2*i || s.Valid != (i%2 == 0) || (s.Valid && s.String != fmt.Sprint(i)) {
			log.Fatalf("prepared: %d %v", v, s)
		}
	}
	check(statement.Close(), "close")
	for _, size := range []int{10 << 20, 17 << 20} {
		big := strings.Repeat("x", size)
		var back string
		check(db.QueryRow("select ?", big).Scan(&back), "big value")
		if back != big {
			log.Fatalf("%d bytes differ", size)
		}
	}
	for _, query := range []string{"select seq from seq_1_to_100000", "select seq from seq_1_to_100000 where seq > ?"} {
		var given []interface{}
		if strings.Contains(query, "?") {
			given = append(given, 0)
		}
		rows, err := db.Query(query, given...)
		check(err, "100 000 rows")
		seen := 0
		for rows.Next() {
			seen++
		}
		if seen != 100000 {
			log.Fatalf("%d rows", seen)
		}
	}
	_, err = db.Exec("create or replace table matrix_go (k int primary key, v text, d datetime(6))")
	check(err, "create")
	tx, err := db.BeginTx(context.Background(), &sql.TxOptions{Isolation: sql.LevelRepeatableRead})
	check(err, "begin")
	_, err = tx.Exec("insert into matrix_go values (?, ?, ?)", 1, "kept", time.Date(2026, 11, 23, 10, 11, 12, 345678000, time.UTC))
	check(err, "insert")
	_, err = tx.Exec("savepoint s")
	check(err, "savepoint")
	if _, err = tx.Exec("insert into matrix_go values (?, ?, null)", 1, "twice"); number(err) != 1062 {
		log.Fatalf("duplicate: %v", err)
	}
	_, err = tx.Exec("rollback to savepoint s")
	check(err, "rollback to")
	check(tx.Commit(), "commit")
	var when time.Time
	check(db.QueryRow("select d from matrix_go where k = ?", 1).Scan(&when), "time")
	if when.Nanosecond() != 345678000 {
		log.Fatalf("time: %v", when)
	}
	mysql.RegisterReaderHandler("rows", func() io.Reader {
		var text strings.Builder
		for k := 10; k < 1000; k++ {
			fmt.Fprintf(&text, "%d\tvalue\t\\N\n", k)
		}
		return strings.NewReader(text.String())
	})
	_, err = db.Exec("load data local infile 'Reader::rows' into table matrix_go")
	check(err, "LOCAL INFILE")
	var count int
	check(db.QueryRow("select count(*) from matrix_go").Scan(&count), "count")
	if count != 991 {
		log.Fatalf("count %d", count)
	}
	// A cancelled query closes the connection; nobody else must feel it.
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	begin := time.Now()
	if _, err = db.ExecContext(ctx, "select sleep(300)"); err == nil || time.Since(begin) > 120*time.Second {
		log.Fatalf("cancel: %v after %v", err, time.Since(begin))
	}
	check(db.QueryRow("select count(*) from matrix_go").Scan(&count), "after a cancel")
	rows, err := db.Query("select 1; select 2")
	check(err, "several statements")
	sum, v := 0, 0
	for more := true; more; more = rows.NextResultSet() {
		for rows.Next() {
			check(rows.Scan(&v), "scan")
			sum += v
		}
	}
	if sum != 3 {
		log.Fatalf("several statements: %d", sum)
	}
}

func main() {
	more := "?parseTime=true&multiStatements=true&maxAllowedPacket=0"
	run(os.Args[1] + more)
	run(os.Args[1] + more + "&interpolateParams=true")
	run(os.Args[1] + more + "&clientFoundRows=true&collation=utf8mb4_unicode_ci")
	fmt.Println("passed")
}
