// SPDX-License-Identifier: Apache-2.0
// The contracts of the tests. contracts.json holds what solc 0.8.30 (npm solc@0.8.30) made of them:
// standard JSON input, optimizer on with 200 runs, evmVersion "paris", metadata.bytecodeHash "none", outputs evm.bytecode.object and
// evm.deployedBytecode.object of every contract.
pragma solidity ^0.8.20;

contract Token {
    string public constant name = "Test Dollar";
    string public constant symbol = "TUSD";
    uint8 public constant decimals = 6;
    uint256 public totalSupply;
    address public owner;
    bool public paused;
    mapping(address => uint256) public balanceOf;

    event Transfer(address indexed from, address indexed to, uint256 value);
    event OwnershipTransferred(address indexed previousOwner, address indexed newOwner);
    event Paused(address account);

    constructor() {
        owner = msg.sender;
        totalSupply = 1_000_000e6;
        balanceOf[msg.sender] = totalSupply;
        emit Transfer(address(0), msg.sender, totalSupply);
    }

    function transfer(address to, uint256 value) external returns (bool) {
        require(balanceOf[msg.sender] >= value, "not enough");
        balanceOf[msg.sender] -= value;
        balanceOf[to] += value;
        emit Transfer(msg.sender, to, value);
        return true;
    }

    function transferOwnership(address to) external {
        require(msg.sender == owner, "not the owner");
        emit OwnershipTransferred(owner, to);
        owner = to;
    }

    function pause() external {
        paused = true;
        emit Paused(msg.sender);
    }

    function getReserves() external view returns (uint112, uint112, uint32) {
        return (uint112(totalSupply), 7e18, uint32(block.timestamp));
    }

    function share(address of_, uint256 parts) external view returns (int256) {
        return -int256(balanceOf[of_] / parts);
    }
}

contract Feed {
    uint8 public constant decimals = 8;
    address public aggregator;
    int256 private answer;
    uint256 private round;
    uint256 private updated;

    event AnswerUpdated(int256 indexed current, uint256 indexed roundId, uint256 updatedAt);

    constructor() { aggregator = address(this); }

    function set(int256 a) external {
        answer = a;
        round += 1;
        updated = block.timestamp;
        emit AnswerUpdated(a, round, updated);
    }

    function latestRoundData() external view returns (uint80, int256, uint256, uint256, uint80) {
        return (uint80(round), answer, updated, updated, uint80(round));
    }
}

contract Bridge {
    event Deposited(address indexed token, address indexed sender, uint256 amount, bytes32 message);
    event Released(uint256 indexed id, address token, address beneficiary, uint256 amount, bytes32 message);

    function deposit(address token, uint256 amount, bytes32 message) external {
        emit Deposited(token, msg.sender, amount, message);
    }

    function release(uint256 id, address token, address beneficiary, uint256 amount, bytes32 message) external {
        emit Released(id, token, beneficiary, amount, message);
    }
}

// Multicall has the two functions of Multicall3 that are used; its code is put at Multicall3's address.
contract Multicall {
    struct Call3 { address target; bool allowFailure; bytes callData; }
    struct Result { bool success; bytes returnData; }

    function aggregate3(Call3[] calldata calls) external payable returns (Result[] memory out) {
        out = new Result[](calls.length);
        for (uint256 i = 0; i < calls.length; i++) {
            (out[i].success, out[i].returnData) = calls[i].target.call(calls[i].callData);
            require(out[i].success || calls[i].allowFailure, "Multicall3: call failed");
        }
    }

    function getEthBalance(address a) external view returns (uint256) { return a.balance; }
}
