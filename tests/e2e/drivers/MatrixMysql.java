// MariaDB Connector/J: java -cp mariadb-java-client.jar MatrixMysql.java JDBC_URL USER PASSWORD
import java.io.ByteArrayInputStream;
import java.sql.*;
import java.util.*;
import java.util.concurrent.*;

public class MatrixMysql {
  static String url, user, password;

  static Connection open(String more) throws SQLException {
    return DriverManager.getConnection(url + more, user, password);
  }

  static void check(boolean ok, String what) {
    if (!ok) throw new AssertionError("step failed: " + what);
  }

  static void clients(String more) throws Exception {
    ExecutorService pool = Executors.newFixedThreadPool(12);
    List<Future<?>> all = new ArrayList<>();
    for (int c = 0; c < 12; c++) {
      final int client = c;
      all.add(pool.submit(() -> {
        try (Connection db = open(more); PreparedStatement s = db.prepareStatement("select ? + " + client + ", ?")) {
          for (int i = 0; i < 30; i++) {
            s.setInt(1, i);
            s.setString(2, i % 2 == 0 ? null : "v" + i);
            try (ResultSet r = s.executeQuery()) {
              check(r.next() && r.getInt(1) == i + client && Objects.equals(r.getString(2), i % 2 == 0 ? null : "v" + i), "prepared again");
            }
          }
        }
        return null;
      }));
    }
    for (Future<?> f : all) f.get();
    pool.shutdown();
  }

  static void run(String more) throws Exception {
    clients(more);
    try (Connection db = open(more)) {
      check(db.isValid(5), "isValid");
      db.createStatement().execute("create or replace table matrix_java (k int primary key, v text)");
      db.setAutoCommit(false);
      try (PreparedStatement s = db.prepareStatement("insert into matrix_java values (?, ?)")) {
        for (int k = 0; k < 500; k++) { s.setInt(1, k); s.setString(2, k % 5 == 0 ? null : "v"); s.addBatch(); }
        check(s.executeBatch().length == 500, "batch");
      }
      Savepoint point = db.setSavepoint();
      try { db.createStatement().execute("insert into matrix_java values (1, 'twice')"); check(false, "duplicate"); }
      catch (SQLException e) { check(e.getErrorCode() == 1062 && e.getSQLState().equals("23000"), e.getSQLState()); }
      db.rollback(point);
      db.commit();
      db.createStatement().execute("insert into matrix_java values (1000, 'lost')");
      db.rollback();
      db.setAutoCommit(true);
      try (ResultSet r = db.createStatement().executeQuery("select count(*) from matrix_java")) { check(r.next() && r.getInt(1) == 500, "rollback"); }
      try (Statement s = db.createStatement()) {
        s.setFetchSize(1000);
        int seen = 0;
        try (ResultSet r = s.executeQuery("select seq, seq * 1.5, now(6) from seq_1_to_100000")) { while (r.next()) seen++; }
        check(seen == 100000, "fetch size");
      }
      String big = "x".repeat(10 << 20);
      try (PreparedStatement s = db.prepareStatement("select ?")) {
        s.setString(1, big);
        try (ResultSet r = s.executeQuery()) { check(r.next() && r.getString(1).equals(big), "10 MB"); }
      }
      try (PreparedStatement s = db.prepareStatement("select length(?), ?")) {
        s.setBinaryStream(1, new ByteArrayInputStream(new byte[200_000]));
        s.setString(2, "beside");
        try (ResultSet r = s.executeQuery()) { check(r.next() && r.getInt(1) == 200_000 && r.getString(2).equals("beside"), "stream"); }
      }
      db.createStatement().execute("create or replace procedure matrix_jproc(in n int, out m int) begin set m = n * 2; select n; end");
      try (CallableStatement c = db.prepareCall("call matrix_jproc(?, ?)")) {
        c.setInt(1, 21);
        c.registerOutParameter(2, Types.INTEGER);
        c.execute();
        check(c.getInt(2) == 42, "procedure");
      }
      try (Statement s = db.createStatement()) {
        s.setQueryTimeout(1);
        // max_statement_time ends sleep() early, with or without an error.
        try (ResultSet r = s.executeQuery("select sleep(20)")) { r.next(); } catch (SQLException e) { }
      }
      db.setCatalog(db.getCatalog());
      try (ResultSet r = db.createStatement().executeQuery("select 1")) { check(r.next() && r.getInt(1) == 1, "usable"); }
    }
  }

  public static void main(String[] args) throws Exception {
    url = args[0]; user = args[1]; password = args[2];
    run("?sslMode=disable");
    run("?sslMode=disable&useServerPrepStmts=true");
    run("?sslMode=disable&useServerPrepStmts=true&useBulkStmts=true&allowMultiQueries=true");
    System.out.println("passed");
  }
}
