%% @doc The table that Python's `erlang.state_*' and Erlang's `py:state_*' share.
%%
%% It belongs to {@link py_sup}, so it outlives every process below. A value is any term, kept as it is. So is a key, but that an atom is
%% its text: Python has both as str, and could not name the one that it is not.
%%
%% The process of this module adds all new keys, so the setting `max_state_entries' holds exactly
%% for any number of writers. Keys already in the table are read, changed and removed by the callers
%% themselves.
-module(py_state).
-behaviour(gen_server).

-export([new/0, start_link/1]).
-export([fetch/1, store/2, remove/1, keys/0, clear/0, incr/1, incr/2, decr/1, decr/2]).
-export_type([full/0]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).

-include_lib("kernel/include/logger.hrl").

%% The table has no room for a new key; the setting and its value.
-type full() :: {max_state_entries, pos_integer()}.

%% The limit.
-type state() :: pos_integer() | infinity.

%% @doc Makes the table; the caller owns it.
-spec new() -> ok.
new() ->
    ?MODULE = ets:new(?MODULE, [named_table, public, set, {read_concurrency, true}, {write_concurrency, true}]),
    ok.

-spec start_link(py_settings:settings()) -> gen_server:start_ret().
start_link(#{max_state_entries := Max}) ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, Max, []).

-spec fetch(term()) -> {ok, term()} | {error, not_found}.
fetch(Key) ->
    case ets:lookup(?MODULE, key(Key)) of
        [{_, Value}] -> {ok, Value};
        [] -> {error, not_found}
    end.

%% @doc Sets a key. A new one is refused while the table holds `max_state_entries' keys.
-spec store(term(), term()) -> ok | {error, full()}.
store(Key, Value) ->
    Name = key(Key),
    case ets:update_element(?MODULE, Name, {2, Value}) of
        true -> ok;
        false -> gen_server:call(?MODULE, {store, Name, Value}, infinity)
    end.

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

%% @doc Adds in one step, with others at the same time too; an absent key counts as 0. `badarg' when
%% the value is no integer, `{max_state_entries, Max}' when the key is new and the table full.
-spec incr(term(), integer()) -> integer().
incr(Key, N) when is_integer(N) ->
    Name = key(Key),
    try
        ets:update_counter(?MODULE, Name, N)
    catch
        error:badarg ->
            case gen_server:call(?MODULE, {incr, Name, N}, infinity) of
                {ok, Value} -> Value;
                {error, badarg} -> error(badarg, [Key, N]);
                {error, Full} -> error(Full)
            end
    end;
incr(Key, N) ->
    error(badarg, [Key, N]).

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

%% gen_server

-spec init(state()) -> {ok, state()}.
init(Max) ->
    {ok, Max}.

%% Another caller may have added the key in the meantime.
-spec handle_call(term(), gen_server:from(), state()) -> {reply, term(), state()} | {noreply, state()}.
handle_call({store, Name, Value}, {_, _}, Max) ->
    {reply, add(Name, Value, Max), Max};
handle_call({incr, Name, N}, {_, _}, Max) when is_integer(N) ->
    Result =
        case ets:member(?MODULE, Name) of
            true ->
                try {ok, ets:update_counter(?MODULE, Name, N, {Name, 0})} catch error:badarg -> {error, badarg} end;
            false ->
                case add(Name, N, Max) of ok -> {ok, N}; Full -> Full end
        end,
    {reply, Result, Max};
handle_call(Request, From, Max) ->
    {noreply, stray({call, From, Request}, Max)}.

-spec handle_cast(term(), state()) -> {noreply, state()}.
handle_cast(Message, Max) ->
    {noreply, stray(Message, Max)}.

-spec handle_info(term(), state()) -> {noreply, state()}.
handle_info(Message, Max) ->
    {noreply, stray(Message, Max)}.

%% The table keeps its size, so nothing is scanned. `infinity' is larger than any number.
-spec add(term(), term(), state()) -> ok | {error, full()}.
add(Name, Value, Max) ->
    case ets:info(?MODULE, size) < Max orelse ets:member(?MODULE, Name) of
        true ->
            true = ets:insert(?MODULE, {Name, Value}),
            ok;
        false ->
            {error, {max_state_entries, Max}}
    end.

-spec stray(term(), state()) -> state().
stray(Message, Max) ->
    ?LOG_WARNING(#{what => py_stray_message, process => ?MODULE, message => Message}),
    Max.
