%% @doc Failures of a registered function, in the shapes of PROTOCOL.md, section 5. Pure.
-module(py_failure).

-export([raised/3, not_registered/1, bad_term/1, process/1, refused/1, nesting/1, footprint/1, table_full/1, shrink/3]).
-export_type([failure/0]).

-type failure() ::
    {raised, error | exit | throw, Reason :: term(), Text :: binary(), Stack :: [binary()]}
    | {not_registered, binary()}
    | {limit | bad_term | process | refused, binary()}.

-define(MAX_TEXT, 4096).

%% @doc What Python raises as `CallError': the class and reason as they are, and both as one line of text.
-spec raised(error | exit | throw, term(), erlang:stacktrace()) -> failure().
raised(exit, killed, []) ->
    %% The exit reason is the same for both. The emulator logs an outgrown heap.
    {raised, exit, killed, <<"exit: killed (its process was, by another or for its size: setting max_heap_size)">>, []};
raised(Class, Reason, Stack) ->
    Text = <<(atom_to_binary(Class))/binary, ": ", (py_text:line(Reason, ?MAX_TEXT))/binary>>,
    {raised, Class, Reason, Text, [frame(Frame) || Frame <- own(Stack)]}.

-spec not_registered(binary()) -> failure().
not_registered(Name) ->
    {not_registered, Name}.

-spec bad_term(binary()) -> failure().
bad_term(Text) ->
    {bad_term, Text}.

-spec process(binary()) -> failure().
process(Text) ->
    {process, Text}.

%% @doc What a setting forbids.
-spec refused(binary()) -> failure().
refused(Text) ->
    {refused, Text}.

%% @doc The shared table has no room for a new key.
-spec table_full(pos_integer()) -> failure().
table_full(Max) ->
    {limit, <<"the shared table holds ", (integer_to_binary(Max))/binary, " keys, as many as it may (setting max_state_entries)">>}.

%% @doc Calls that wait for each other, more than may.
-spec nesting(pos_integer()) -> failure().
nesting(Max) ->
    {limit, <<"calls are nested deeper than ", (integer_to_binary(Max))/binary, " (setting max_nesting)">>}.

%% @doc Arguments too large for the heap of the function's process.
-spec footprint(pos_integer()) -> failure().
footprint(Max) ->
    {limit, <<"the arguments would take more memory than ", (integer_to_binary(Max))/binary, " words (setting max_heap_size)">>}.

%% @doc What is said in place of an answer that does not fit a frame: of a failure at least its text, of a result the limit.
-spec shrink(ok | error, term(), {limit, binary()}) -> failure().
shrink(error, {raised, Class, _Reason, Text, Stack}, _Limit) ->
    {raised, Class, Text, Text, Stack};
shrink(_Kind, _Term, Limit) ->
    Limit.

%% The frames below the function are ours and the same each time.
-spec own(erlang:stacktrace()) -> erlang:stacktrace().
own(Stack) ->
    lists:takewhile(fun(Frame) -> element(1, Frame) =/= py_function end, Stack).

-spec frame(tuple()) -> binary().
frame({Module, Function, Arguments, Location}) when is_list(Arguments) ->
    %% The arguments themselves may be large, or secret.
    frame({Module, Function, length(Arguments), Location});
frame({Module, Function, Arity, Location}) ->
    Name = io_lib:format("~tw:~tw/~b", [Module, Function, Arity]),
    unicode:characters_to_binary([Name, place(proplists:get_value(file, Location), Location)]);
frame({Fun, Arguments, Location}) when is_function(Fun), is_list(Location) ->
    {module, Module} = erlang:fun_info(Fun, module),
    {name, Name} = erlang:fun_info(Fun, name),
    {arity, Arity} = erlang:fun_info(Fun, arity),
    frame({Module, Name, case is_list(Arguments) of true -> length(Arguments); false -> Arity end, Location}).

-spec place(string() | undefined, list()) -> io_lib:chars().
place(undefined, _Location) ->
    "";
place(File, Location) ->
    io_lib:format(" (~ts:~b)", [File, proplists:get_value(line, Location, 0)]).
