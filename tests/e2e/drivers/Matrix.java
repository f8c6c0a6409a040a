// pgJDBC: java -cp postgresql.jar Matrix.java JDBC_URL USER PASSWORD
import java.io.StringReader;
import java.sql.*;
import java.util.*;
import java.util.concurrent.*;

public class Matrix {
  static String url, user, password;

  static Connection open(String more) throws SQLException {
    return DriverManager.getConnection(url + more, user, password);
  }

  static void check(boolean ok, String what) {
    if (!ok) throw new AssertionError("step failed: " + what);
  }

  static void run(String more) throws Exception {
    ExecutorService pool = Executors.newFixedThreadPool(12);
    List<Future<?>> all = new ArrayList<>();
    for (int c = 0; c < 12; c++) {
      final int client = c;
      all.add(pool.submit(() -> {
        try (Connection db = open(more); PreparedStatement s = db.prepareStatement("select ?::int + " + client + ", ?::text")) {
          for (int i = 0; i < 30; i++) {  // the 5th use is named, later ones are never described
            s.setInt(1, i);
            s.setString(2, i % 2 == 0 ? null : "v" + i);
            try (ResultSet r = s.executeQuery()) {
              check(r.next() && r.getInt(1) == i + client && Objects.equals(r.getString(2), i % 2 == 0 ? null : "v" + i), "warm path");
            }
          }
        }
        return null;
      }));
    }
    for (Future<?> f : all) f.get();
    pool.shutdown();
    try (Connection db = open(more)) {
      check(db.isValid(5), "isValid");
      db.createStatement().execute("create table if not exists matrix_java (k int primary key, v text)");
      db.createStatement().execute("truncate matrix_java");
      db.setAutoCommit(false);
      try (PreparedStatement s = db.prepareStatement("insert into matrix_java values (?, ?)")) {
        for (int k = 0; k < 500; k++) { s.setInt(1, k); s.setString(2, "v"); s.addBatch(); }
        check(s.executeBatch().length == 500, "batch");
      }
      Savepoint point = db.setSavepoint();
      try { db.createStatement().execute("insert into matrix_java values (1, 'twice')"); check(false, "duplicate"); }
      catch (SQLException e) { check(e.getSQLState().equals("23505"), e.getSQLState()); }
      db.rollback(point);
      db.commit();
      try (Statement s = db.createStatement()) {
        s.setFetchSize(1000);
        int seen = 0;
        try (ResultSet r = s.executeQuery("select n, n::float8, now() from generate_series(1, 100000) n")) { while (r.next()) seen++; }
        check(seen == 100000, "fetch size");
      }
      db.rollback();
      db.setAutoCommit(true);
      String big = "x".repeat(10 << 20);
      try (PreparedStatement s = db.prepareStatement("select ?::text")) {
        s.setString(1, big);
        try (ResultSet r = s.executeQuery()) { check(r.next() && r.getString(1).equals(big), "10 MB"); }
      }
      org.postgresql.copy.CopyManager copy = db.unwrap(org.postgresql.PGConnection.class).getCopyAPI();
      check(copy.copyIn("copy matrix_java from stdin", new StringReader("1000\ta\n1001\tb\n")) == 2, "copy");
      try (Statement s = db.createStatement()) {
        s.setQueryTimeout(1);
        try { s.execute("select pg_sleep(30)"); check(false, "cancel"); }
        catch (SQLException e) { check(e.getSQLState().equals("57014"), e.getSQLState()); }
      }
      try (ResultSet r = db.createStatement().executeQuery("select 1")) { check(r.next() && r.getInt(1) == 1, "usable"); }
    }
  }

  public static void main(String[] args) throws Exception {
    url = args[0]; user = args[1]; password = args[2];
    run("");
    run(url.contains("?") ? "&preferQueryMode=simple" : "?preferQueryMode=simple");
    System.out.println("passed");
  }
}
