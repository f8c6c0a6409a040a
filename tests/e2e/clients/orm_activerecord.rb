# ActiveRecord with prepared statements: orm_activerecord.rb postgresql|mysql2 HOST PORT USER PASSWORD DATABASE.
require "active_record"

adapter, host, port, user, password, database = ARGV
ActiveRecord::Base.establish_connection(adapter: adapter, host: host, port: port.to_i, username: user,
                                        password: password, database: database, pool: 5, prepared_statements: true)
ActiveRecord::Schema.verbose = false

class Post < ActiveRecord::Base
  has_many :comments
end

class Comment < ActiveRecord::Base
  belongs_to :post
end

def step(name)
  puts "#{name} #{yield.inspect}"
rescue StandardError => e
  puts "#{name} failed: #{e.class} #{e.message.lines.first}"
end

def in_threads
  4.times.map { |me| Thread.new { ActiveRecord::Base.connection_pool.with_connection { yield me } } }.map(&:value)
end

step("schema") do
  ActiveRecord::Schema.define do
    create_table(:posts) { |t| t.string :title; t.integer :stars, default: 0; t.timestamps }
    create_table(:comments) { |t| t.references :post, foreign_key: true; t.text :body }
    add_index :posts, :title
  end
  ActiveRecord::Base.connection.tables.include?("posts")
end
step("created") { 20.times { |i| Post.create!(title: "t#{i}").comments.create!(body: "x") }; Comment.count }
step("joined") { Post.joins(:comments).where(title: "t3").pluck(:title, "comments.body") }
step("found") { 5.times.map { |i| Post.find_by(title: "t#{i}").title } }
step("taken back") do
  Post.transaction do
    Post.create!(title: "kept")
    Post.transaction(requires_new: true) { Post.create!(title: "gone"); raise ActiveRecord::Rollback }
  end
  Post.where(title: %w[kept gone]).pluck(:title)
end
step("locked") { Post.transaction { Post.lock.order(:id).first.title } }
step("batches") { Post.find_each(batch_size: 5).sum { 1 } }
step("upserted") do
  first = Post.order(:id).first
  Post.upsert_all([{ id: first.id, title: "up", created_at: first.created_at, updated_at: first.updated_at }])
  Post.find(first.id).title
end
step("another column") do
  ActiveRecord::Base.connection.add_column(:posts, :more, :integer)
  Post.reset_column_information
  [Post.create!(title: "w", more: 3).more, Post.where(title: "t3").first.attributes.key?("more")]
end
step("threads") do
  in_threads do |me|
    10.times.count { |i| Post.create!(title: "th#{me}"); Post.where(title: "th#{me}").count != i + 1 }
  end
end
step("isolated") { Post.transaction(isolation: :serializable) { Post.count } }
step("wrong column") { Post.where("nosuch = 1").to_a }
ActiveRecord::Base.connection.drop_table(:comments)
ActiveRecord::Base.connection.drop_table(:posts)
