%% @doc The table that Python's `erlang.state_*' and Erlang's `py:state_*' share.
%%
%% It belongs to {@link py_sup}, so it outlives every process below. A value is any term, kept as it is. So is a key, but that an atom is
%% its text: Python has both as str, and could not name the one that it is not.
-module(py_state).

-export([new/0, fetch/1, store/2, remove/1, keys/0, clear/0, incr/1, incr/2, decr/1, decr/2]).

%% @doc Makes the table; the caller owns it.
-spec new() -> ok.
new() ->
    ?MODULE = ets:new(?MODULE, [named_table, public, set, {read_concurrency, true}, {write_concurrency, true}]),
    ok.

-spec fetch(term()) -> {ok, term()} | {error, not_found}.
fetch(Key) ->
    case ets:lookup(?MODULE, key(Key)) of
        [{_, Value}] -> {ok, Value};
        [] -> {error, not_found}
    end.

-spec store(term(), term()) -> ok.
store(Key, Value) ->
    true = ets:insert(?MODULE, {key(Key), Value}),
    ok.

%% @doc Removes; an absent key is not an error.
-spec remove(term()) -> ok.
remove(Key) ->
    true = ets:delete(?MODULE, key(Key)),
    ok.

%% @doc The keys, in no order.
-spec keys() -> [term()].
keys() ->
    ets:select(?MODULE, [{{'$1', '_'}, [], ['$1']}]).

-spec clear() -> ok.
clear() ->
    true = ets:delete_all_objects(?MODULE),
    ok.

%% @doc As `incr(Key, 1)'.
-spec incr(term()) -> integer().
incr(Key) ->
    incr(Key, 1).

%% @doc Adds, in one step whoever else adds at the same time; an absent key counts as 0. `badarg' when the value is no integer.
-spec incr(term(), integer()) -> integer().
incr(Key, N) ->
    Name = key(Key),
    ets:update_counter(?MODULE, Name, N, {Name, 0}).

%% @doc As `decr(Key, 1)'.
-spec decr(term()) -> integer().
decr(Key) ->
    decr(Key, 1).

-spec decr(term(), integer()) -> integer().
decr(Key, N) when is_integer(N) ->
    incr(Key, -N);
decr(Key, N) ->
    error(badarg, [Key, N]).

%% Those that Python has as values of its own stay atoms.
-spec key(term()) -> term().
key(Atom) when is_atom(Atom), Atom =/= true, Atom =/= false, Atom =/= none -> atom_to_binary(Atom);
key(Key) -> Key.
